// Curves over what came last.
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";

/** What runs along the bottom. */
export interface Along {
  unit: string;
  /** Samples shown; older ones leave. */
  shown: number;
  /** Whether the left side begins at 0. */
  fromZero: boolean;
}
const SECONDS: Along = { unit: "s", shown: 1200, fromZero: true }; // two minutes

const color = (name: string) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

export interface Line {
  label: string;
  color: string;
  fill?: boolean;
  dash?: number[];
}

export class Chart {
  #times: number[] = [];
  #values: (number | null)[][];
  #plot: uPlot | undefined;

  constructor(
    readonly place: HTMLElement,
    readonly lines: Line[],
    readonly along = SECONDS,
  ) {
    this.#values = lines.map(() => []);
    this.#draw();
    new ResizeObserver(() => this.#plot?.setSize(this.#size())).observe(place);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#draw());
  }

  #size() {
    return { width: Math.max(200, this.place.clientWidth), height: 200 };
  }

  #draw(): void {
    this.#plot?.destroy();
    const axis = { stroke: color("dim"), grid: { stroke: color("line") }, ticks: { stroke: color("line") } };
    this.#plot = new uPlot(
      {
        ...this.#size(),
        cursor: { drag: { x: false, y: false } },
        legend: { live: false },
        scales: { x: { time: false }, y: this.along.fromZero ? { range: (_plot, _low, high) => [0, Math.max(1, high * 1.1)] } : {} },
        axes: [
          { ...axis, values: (_plot, splits) => splits.map((split) => `${split} ${this.along.unit}`) },
          { ...axis, size: 56 },
        ],
        series: [
          { label: "time" },
          ...this.lines.map(({ label, color: name, fill, dash }) => ({
            label,
            stroke: color(name),
            width: 2,
            points: { show: false },
            ...(fill ? { fill: `${color(name)}33` } : {}),
            ...(dash ? { dash } : {}),
          })),
        ],
      },
      this.#data(),
      this.place,
    );
  }

  #data(): uPlot.AlignedData {
    return [this.#times, ...this.#values];
  }

  add(at: number, values: (number | null)[]): void {
    this.extend([[at, values]]);
  }

  extend(samples: [number, (number | null)[]][]): void {
    for (const [at, values] of samples) {
      this.#times.push(at);
      values.forEach((value, index) => this.#values[index]!.push(value));
    }
    const over = Math.max(0, this.#times.length - this.along.shown);
    if (over > 0) [this.#times, ...this.#values].forEach((column) => column.splice(0, over));
    this.#plot?.setData(this.#data());
  }

  clear(): void {
    this.#times = [];
    this.#values = this.lines.map(() => []);
    this.#plot?.setData(this.#data());
  }
}
