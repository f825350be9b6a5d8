"""How many synthetic images give what the next real image gives, at each number of real images, with 95 % intervals.

Read off the pure laws of both curves over the sizes that they are fitted to. Dotted where the matching number of synthetic images lies
outside those sizes.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.ticker import FuncFormatter, NullFormatter

from scripts.lib import command, metrics, plotting, shown
from scripts.lib.laws.exchange import exchange_rate


def main(arguments: list[str] | None = None) -> None:
    args, settings = command.parse(plotting.arguments(__doc__, "metrics"), arguments, shown.exchange_settings)
    plotting.style()
    table = metrics.of_files(args.metrics, settings["evaluation"], settings["experiments"])
    table = table[table["size"].between(*settings["sizes"])]
    architecture = settings["architecture"]

    def rows(source, guidance):
        curve = metrics.of_curve(table, source, guidance, architecture)
        return curve["size"].to_numpy(float), curve["cross_entropy"].to_numpy()

    real = rows(settings["real"], None)
    at = np.geomspace(real[0].min(), real[0].max(), 60)
    figure, axes = plt.subplots(figsize=(6.6, 3.4), layout="constrained")
    drawn = []
    for curve in settings["curves"]:
        rates = exchange_rate(real, rows(curve["source"], curve["guidance"]), at)
        look, label = plotting.look(curve["look"]), plotting.words(curve["label"])
        color = look["color"]
        drawn.append(rates.assign(source=curve["source"], guidance=curve["guidance"], architecture=architecture))
        if not (np.isfinite(rates["rate"]) & (rates["rate"] > 0)).all():
            axes.plot([], [], color=color, linestyle=":", label=f"{label}: none, a loss does not fall")
            continue
        axes.plot(rates["real_images"], rates["rate"], color=color, linestyle=":", linewidth=1)
        axes.plot(rates["real_images"], rates["rate"].where(rates["inside"]), color=color, linewidth=1.6, label=label)
        axes.fill_between(rates["real_images"], rates["rate_low"], rates["rate_high"], color=color, alpha=0.12, linewidth=0)
        mark = rates.iloc[[len(rates) // 2]]
        axes.plot(mark["real_images"], mark["rate"], **look)
    drawn = pd.concat(drawn)
    axes.axhline(1, color=plotting.REAL, linestyle="--", linewidth=1)
    visible = np.append(drawn.loc[np.isfinite(drawn["rate"]) & (drawn["rate"] > 0), "rate"], 1)
    axes.set(xscale="log", yscale="log", xlim=(at[0] / 1.1, at[-1] * 1.1), ylim=(visible.min() / 3, visible.max() * 6))
    axes.set(xlabel="real training images", ylabel="synthetic images worth the next real one")
    axes.set_xticks(np.unique(real[0]), [f"{size:,g}" for size in np.unique(real[0])])
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    axes.grid(alpha=0.3, which="both", linewidth=0.4)
    figure.legend(loc="outside right upper", title="synthetic source")
    plotting.write(figure, drawn, args.output)


if __name__ == "__main__":
    main()
