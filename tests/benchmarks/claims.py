"""Coverage of chosen strategies' intervals, and how often equal policies are told apart.

    PYTHONPATH=workflow:tests python tests/benchmarks/claims.py

prints, over 400 simulated studies a row: coverage, which is to be 0.95; rejected, 0.05; and, where
no strategy is better, how often the small policy is said to pass, at most 0.05. Then the same for a
family of three small policies that are as good as the large one's CoT: how often any is told apart,
and any is said to pass.
"""

from choosing import KINDS, simulate, simulate_family

if __name__ == "__main__":
    for n in (30, 200, 500):
        for soft in (False, True):
            for kind in KINDS:
                found = simulate(n, kind, soft=soft, worlds=400)
                shares = "  ".join(f"{name} {share:.3f}" for name, share in found.items())
                print(f"{n:4} problems, {'soft' if soft else '0/1':4}, {kind:12}: {shares}")
            found = simulate_family(n, soft=soft, worlds=400)
            shares = "  ".join(f"{name} {share:.3f}" for name, share in found.items())
            print(f"{n:4} problems, {'soft' if soft else '0/1':4}, family      : {shares}")
