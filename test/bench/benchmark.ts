// What a benchmark is, and how its results are printed.

/** A number that came out, and what it should be. */
export interface Measurement {
  readonly name: string;
  readonly value: number;
  /** `x` for a ratio. */
  readonly unit: string;
  /** Between which two values the middle half of all rounds lies. */
  readonly spread?: Spread;
  /** Of design; absent: it explains others. */
  readonly target?: { readonly atLeast: number } | { readonly atMost: number };
}

/** The quartiles. */
export interface Spread {
  readonly low: number;
  readonly high: number;
}

/** Tells a person that something long goes on. */
export type Progress = (line: string) => void;

/** What a person may choose. */
export interface BenchmarkOptions {
  /** How many faults of each kind are made. */
  readonly faults: number;
  readonly size: Size;
}

/** One benchmark. Throws when what it measured was not what it should be, such as answers that were refusals. */
export interface Benchmark {
  readonly name: string;
  readonly summary: string;
  /** Whether it needs a mongod. */
  readonly needsMongod?: boolean;
  /** Whether it is left out where all are run. */
  readonly onlyByName?: boolean;
  run(progress: Progress, options: BenchmarkOptions): Promise<readonly Measurement[]>;
}

/** `quick`: only to see that it runs, where a benchmark has such a size; its numbers say nothing of targets. */
export type Size = 'full' | 'quick';

/** Something is missing here without which there is nothing to measure; the message says what. */
export class NotMeasuredError extends Error {}

/** Whether a target is met; undefined: there is none. */
export function isMet({ value, target }: Measurement): boolean | undefined {
  if (!target) return undefined;
  return 'atLeast' in target ? value >= target.atLeast : value <= target.atMost;
}

/** Measurements as lines of a table. */
export function formatTable(measurements: readonly Measurement[]): readonly string[] {
  const rows = measurements.map((each) => [
    each.name,
    formatValue(each),
    formatSpread(each),
    formatTarget(each),
    verdict(each),
  ]);
  const all = [['', 'measured', 'quartiles', 'target', ''], ...rows];
  const widths = [0, 1, 2, 3].map((column) => Math.max(...all.map((row) => row[column]?.length ?? 0)));
  return all.map(([name = '', value = '', spread = '', target = '', met = '']) =>
    [
      name.padEnd(widths[0] ?? 0),
      value.padStart(widths[1] ?? 0),
      spread.padEnd(widths[2] ?? 0),
      target.padEnd(widths[3] ?? 0),
      met,
    ]
      .join('  ')
      .trimEnd(),
  );
}

function formatValue({ value, unit }: Measurement): string {
  return `${formatNumber(value)} ${unit}`;
}

function formatNumber(value: number): string {
  return value.toFixed(value >= 100 ? 0 : value >= 0.1 ? 2 : 3);
}

function formatSpread({ spread }: Measurement): string {
  return spread ? `${formatNumber(spread.low)} to ${formatNumber(spread.high)}` : '';
}

function formatTarget({ target }: Measurement): string {
  if (!target) return '';
  return 'atLeast' in target ? `>= ${target.atLeast}` : `<= ${target.atMost}`;
}

function verdict(measurement: Measurement): string {
  const met = isMet(measurement);
  if (met === undefined) return '';
  return met ? 'met' : 'MISSED';
}

/** The middle one. */
export function median(values: readonly number[]): number {
  return percentile(values, 0.5);
}

/** The smallest value that a share of all do not exceed. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

/** The middle of all rounds, and how they are spread. */
export function middle(values: readonly number[]): { readonly value: number; readonly spread: Spread } {
  return { value: median(values), spread: { low: percentile(values, 0.25), high: percentile(values, 0.75) } };
}

/** The ratios of runs made side by side, so that what slows both for a while cancels out. */
export function ratios(above: readonly number[], below: readonly number[]): readonly number[] {
  return above.map((value, index) => value / (below[index] ?? Number.NaN));
}
