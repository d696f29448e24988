"""What the benchmark prints and draws, from its results."""

from collections.abc import Sequence
from pathlib import Path

from request import PEERS, SAMPLING

from preference.training.settings import OBJECTIVES


def print_results(results: dict) -> None:
    """Print every figure that was measured, as tables."""
    from rich.console import Console

    console = Console(width=110, highlight=False)
    console.print(f"{results['date']}, {results['machine']}; data: {results['data']}\n")
    if measured := results.get("yield"):
        print_yield(console, measured)
    if "training" not in results:
        return
    for model, rates in results["training"].items():
        rows = [[method, f"{rate:.2f}", *(f"{rate / rates[peer]:.1f}" for peer in PEERS)] for method, rate in rates.items()]
        _print_table(console, f"Training, {model}", rows, "method", "ranked answers/s", "x usual", "x TRL", "x CrossEncoder")

    rows = [
        [model, f"{use['mfu']:.0%}", use["precision"], f"{use['matmul_gflops']:.0f} GFLOP/s", f"{use['tokens_per_answer']:.0f}"]
        for model, use in results["mfu"].items()
    ]
    title = "MFU of regression (model FLOPs utilisation: share of the measured matrix-product rate, useful tokens only)"
    _print_table(console, title, rows, "base model", "MFU", "precision", "matrix-product rate", "tokens per answer")

    scoring = results["scoring"]
    rows = [[method, f"{rate:.1f}", f"{rate / scoring['cross-encoder predict']:.1f}"] for method, rate in scoring.items()]
    _print_table(console, "Scoring, all-MiniLM-L6-v2", rows, "method", "answers/s", "x CrossEncoder.predict")
    if sampling := results.get("sampling"):
        slowest = sampling[SAMPLING[-1]]
        rows = [[method, f"{rate:.2f}", f"{rate / slowest:.1f}"] for method, rate in sampling.items()]
        _print_table(console, "Sampling, SmolLM2-135M-Instruct", rows, "method", "candidates/s", "x one call per candidate")
    if ablations := results.get("ablations"):
        everything = next(iter(ablations.values()))
        rows = [[name, f"{rate:.2f}", f"{rate / everything:.2f}"] for name, rate in ablations.items()]
        _print_table(console, "Ablations: regression, all-MiniLM-L6-v2, one measure left out at a time", rows, "method", "ranked answers/s", "share")
    if seeds := results.get("seeds"):
        rows = [[layers, *(f"{accuracy:.3f}" for accuracy in accuracies.values())] for layers, accuracies in seeds.items()]
        names = [f"seed {seed}" for seed in next(iter(seeds.values()))]
        _print_table(console, "Pairwise accuracy on unseen prompts, with and without padding", rows, "layers", *names)
    if quality := results.get("quality"):
        _print_table(
            console, "Quality on unseen prompts", [_quality_row(method, result) for method, result in quality.items()],
            "method", "epochs", "minutes", "pairwise accuracy [95 %]", "shorter is better", "length-controlled", "tau",
        )  # fmt: skip
    if scale := results.get("scale"):
        rows = [
            [f"{one['rows']:,}", f"{one['read_seconds']:.1f} s", f"{one['encode_seconds']:.1f} s", f"{one['gib_before_training']:.2f} GiB",
             f"{one['gib']:.2f} GiB", f"{one['rate']:.2f}"]
            for one in scale.values()
        ]  # fmt: skip
        names = ("rows", "read and checked", "encoded", "peak before training", "peak", "ranked answers/s")
        _print_table(console, "Large files: synthetic rankings, first steps", rows, *names)


def print_yield(console, measured: dict) -> None:
    """Print what more rankings bring: pairwise accuracy (length-controlled accuracy, minutes) by ranked prompts and way of training."""
    ways = measured["ways"]
    rows = []
    for prompts in next(iter(ways.values())):
        runs = [by_prompts.get(prompts, []) for by_prompts in ways.values()]
        rows.append([prompts, *(", ".join(map(_yield_cell, some)) or "–" for some in runs)])
    longest = measured["longest"]
    title = (
        f"Pairwise accuracy (length-controlled; minutes) on {measured['unseen_prompts']} unseen prompts;"
        f" the longest answer is best: {longest['pairwise_accuracy']:.3f}"
    )
    _print_table(console, title, rows, "ranked prompts", *ways)


def _yield_cell(result: dict) -> str:
    metrics = result["metrics"]
    controlled = metrics["length_controlled_accuracy"]
    return f"{metrics['pairwise_accuracy']:.3f} ({'–' if controlled is None else f'{controlled:.3f}'}; {result['seconds'] / 60:.1f})"


def _quality_row(method: str, result: dict) -> list[str]:
    metrics = result["metrics"]
    low, high = metrics["pairwise_accuracy_95"]
    cells = [metrics[name] for name in ("accuracy_where_shorter_is_better", "length_controlled_accuracy", "kendall_tau")]
    accuracy = f"{metrics['pairwise_accuracy']:.3f} [{low:.3f}, {high:.3f}]"
    return [method, f"{result['epochs']:g}", f"{result['seconds'] / 60:.0f}", accuracy, *("–" if cell is None else f"{cell:.3f}" for cell in cells)]


def _print_table(console, title: str, rows: Sequence[Sequence[str]], *columns: str) -> None:
    from rich import box
    from rich.table import Table

    console.print(title)  # a title of the table would wrap at the table's width
    shown = Table(box=box.SIMPLE_HEAD)
    for i, column in enumerate(columns):
        shown.add_column(column, justify="right" if i else "left")
    for row in rows:
        shown.add_row(*row)
    console.print(shown)


def draw_picture(results: dict, path: Path) -> None:
    """Draw the training rates, one panel per base model."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    import seaborn as sns
    from matplotlib.patches import Patch

    sns.set_theme(style="whitegrid")
    peers_colour, our_colour = sns.color_palette("viridis", 2)
    models = list(results["training"])
    figure, axes = plt.subplots(1, len(models), figsize=(6.5 * len(models), 3.8), layout="constrained", squeeze=False)
    for axis, model in zip(axes[0], models, strict=True):
        rates = results["training"][model]
        axis.barh(list(rates), list(rates.values()), color=[our_colour if method in OBJECTIVES else peers_colour for method in rates])
        for i, rate in enumerate(rates.values()):
            axis.text(rate, i, f" {rate:.1f}  ({rate / rates['usual']:.1f} x usual)", va="center")
        axis.set_xlim(0, 1.6 * max(rates.values()))
        axis.invert_yaxis()
        axis.grid(axis="y", visible=False)
        axis.set_xlabel("ranked answers per second")
        axis.set_title(model, loc="left")
        axis.legend(handles=[Patch(color=peers_colour, label="peers"), Patch(color=our_colour, label="this project")], loc="upper right")
    figure.savefig(path, dpi=130)
    plt.close(figure)
