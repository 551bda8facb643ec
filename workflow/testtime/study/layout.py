"""Where everything lies in a results folder."""

# In the order in which data flow; benchmarks and logs lie in folders of these names.
STAGES = ("train", "problems", "generate", "score", "search", "grade", "difficulty", "evaluate")
STAGES += ("fit", "compare", "figures", "notebooks", "report")
# Stages with one file per (dataset, policy): STAGE/DATASET/POLICY.parquet
PER_CELL = ("grades", "difficulty", "predicted")
