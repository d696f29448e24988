"""What the benchmark prints and draws, from its results."""

from pathlib import Path

from ways import DRAWING, OBJECTIVES


def print_tables(results: dict) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    console = Console(width=110)

    def table(title: str, rows: list[list[str]], *names: str) -> None:
        made = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left")
        for i, name in enumerate(names):
            made.add_column(name, justify="right" if i else "left")
        for row in rows:
            made.add_row(*row)
        console.print(made)

    console.print(f"{results['date']}, {results['machine']}, data: {results['data']}\n", highlight=False)
    for model, rates in results["training"].items():
        peers = ("usual", "trl", "cross-encoder")
        rows = [[way, f"{rate:.2f}", *(f"{rate / rates[peer]:.1f}" for peer in peers)] for way, rate in rates.items()]
        table(f"Training, {model}", rows, "way", "ranked answers/s", "x usual", "x TRL", "x CrossEncoder")
    for model, use in results["processor_use"].items():
        console.print(
            f"{model}: {use['share']:.0%} of the machine's own {use['precision']} matrix-product rate ({use['matmul_gflops']:.0f} GFLOP/s),"
            f" counting useful tokens ({use['tokens_per_answer']:.0f} an answer)", highlight=False,
        )  # fmt: skip
    scoring = results["scoring"]
    ratio = scoring["score"] / scoring["cross-encoder predict"]
    console.print(
        f"scoring: {scoring['score']:.1f} answers/s, {ratio:.1f} x CrossEncoder.predict ({scoring['cross-encoder predict']:.1f})", highlight=False
    )
    if drawing := results.get("drawing"):
        together, alone = (drawing[way] for way in DRAWING)
        console.print(f"drawing: {together:.2f} candidates/s, {together / alone:.1f} x one call of generate for each ({alone:.2f})", highlight=False)
    console.print()
    if levers := results.get("levers"):
        whole = levers["all of them"]
        rows = [[name, f"{rate:.2f}", f"{rate / whole:.2f}"] for name, rate in levers.items()]
        table("What each measure gives: regression, all-MiniLM-L6-v2", rows, "measures", "ranked answers/s", "share")
    if seeds := results.get("seeds"):
        rows = [[name, *(f"{accuracy:.3f}" for accuracy in accuracies)] for name, accuracies in seeds.items()]
        table("The same training, batched in two ways: pairwise accuracy on unseen prompts", rows, "batches", "seed 0", "seed 1", "seed 2")
    if quality := results.get("quality"):
        rows = []
        for way, one in quality.items():
            m = one["metrics"]
            cells = [m["accuracy_where_shorter_is_better"], m["length_controlled_accuracy"], m["kendall_tau"]]
            low, high = m["pairwise_accuracy_95"]
            rows.append(
                [way, f"{one['epochs']:g}", f"{one['seconds'] / 60:.0f}", f"{m['pairwise_accuracy']:.3f} [{low:.3f}, {high:.3f}]"]
                + ["–" if cell is None else f"{cell:.3f}" for cell in cells]
            )
        names = ("way", "epochs", "minutes", "pairwise accuracy [95 %]", "shorter is better", "length-controlled", "tau")
        table("Quality on unseen prompts", rows, *names)
    if scale := results.get("scale"):
        rows = [
            [f"{one['rows']:,}", f"{one['read_seconds']:.1f} s", f"{one['encode_seconds']:.1f} s", f"{one['gib_before_the_steps']:.2f} GiB",
             f"{one['gib']:.2f} GiB", f"{one['rate']:.2f}"]
            for one in scale.values()
        ]  # fmt: skip
        table("Scale: made rows, first steps", rows, "rows", "read, checked", "encoded", "peak before the steps", "peak", "ranked answers/s")


def draw_picture(results: dict, path: Path) -> None:
    """Draw the rates of training, one panel a base model."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    import seaborn as sns

    sns.set_theme(style="whitegrid")
    models = list(results["training"])
    figure, axes = plt.subplots(1, len(models), figsize=(6.5 * len(models), 3.8), layout="constrained", squeeze=False)
    for axis, model in zip(axes[0], models, strict=True):
        rates = results["training"][model]
        ours = [way in OBJECTIVES for way in rates]
        colours = sns.color_palette("viridis", 2)
        axis.barh(list(rates), list(rates.values()), color=[colours[own] for own in ours])
        for i, rate in enumerate(rates.values()):
            axis.text(rate, i, f" {rate:.1f}  ({rate / next(iter(rates.values())):.1f} x)", va="center")
        axis.set_xlim(0, 1.4 * max(rates.values()))
        axis.invert_yaxis()
        axis.grid(axis="y", visible=False)
        axis.set_xlabel("ranked answers per second")
        axis.set_title(model, loc="left")
    figure.savefig(path, dpi=130)
