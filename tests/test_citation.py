"""How to cite, and how the workflow catalog shows the workflow: valid, and of this version."""

import json
import tomllib

import yaml

# Of the Citation File Format 1.2.0: what must be there, and all that may be.
NEEDED = {"cff-version", "message", "title", "authors"}
ALLOWED = NEEDED | {"abstract", "commit", "contact", "date-released", "doi", "identifiers"}
ALLOWED |= {"keywords", "license", "license-url", "preferred-citation", "references", "repository"}
ALLOWED |= {"repository-artifact", "repository-code", "type", "url", "version"}


def test_the_citation_is_valid_and_of_this_version(root):
    cited = yaml.safe_load((root / "CITATION.cff").read_text())
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    assert set(cited) >= NEEDED
    assert set(cited) <= ALLOWED
    assert cited["cff-version"] == "1.2.0"
    assert cited["version"] == project["version"]
    assert cited["license"] == project["license"]
    assert all("name" in author or "family-names" in author for author in cited["authors"])


def test_the_reproduced_study_is_cited(root):
    (paper,) = yaml.safe_load((root / "CITATION.cff").read_text())["references"]
    assert paper["identifiers"][0]["value"] == "arXiv:2502.06703"
    assert {"type", "title", "authors"} <= set(paper)


def test_zenodo_is_told_what_the_citation_says(root):
    """Names as Zenodo writes them: family name first."""
    cited = yaml.safe_load((root / "CITATION.cff").read_text())
    told = json.loads((root / ".zenodo.json").read_text())
    assert told["upload_type"] == cited["type"]
    for key in ("title", "version", "license", "keywords"):
        assert told[key] == cited[key]
    assert told["description"] == " ".join(cited["abstract"].split())
    names = [
        author.get("name") or f"{author['family-names']}, {author['given-names']}"
        for author in cited["authors"]
    ]
    assert [creator["name"] for creator in told["creators"]] == names
    references = {paper["identifiers"][0]["value"] for paper in cited["references"]}
    assert {link["identifier"] for link in told["related_identifiers"]} == references


def test_the_workflow_catalog_knows_how_the_workflow_is_used(root):
    usage = yaml.safe_load((root / ".snakemake-workflow-catalog.yml").read_text())["usage"]
    assert set(usage) == {"mandatory-flags", "software-stack-deployment", "report"}
    assert usage["software-stack-deployment"]["conda"] is True
    assert (root / "envs").is_dir()
