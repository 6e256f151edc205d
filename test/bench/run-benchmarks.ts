// The benchmarks' inner part: runs them in the sandbox, prints a table of each and one of all targets, and writes all
// results.

import { writeFileSync } from 'node:fs';
import {
  type Benchmark,
  type BenchmarkOptions,
  formatTable,
  isMet,
  type Measurement,
  NotMeasuredError,
} from './benchmark.js';
import { selectBenchmarks } from './benchmarks.js';
import { childArgument } from './child.js';
import { formatEnvironment, readEnvironment } from './environment.js';

/** What to run. */
export interface RunOptions extends BenchmarkOptions {
  /** Names; empty: all that need not be named. */
  readonly only: readonly string[];
  /** Path of the results. */
  readonly output: string;
}

/** What came of a benchmark. */
interface Result {
  readonly name: string;
  readonly seconds: number;
  readonly measurements: readonly (Measurement & { readonly met: boolean | undefined })[];
  /** Why there are none. */
  readonly notMeasured?: string;
}

async function main({ only, output, ...options }: RunOptions): Promise<number> {
  const environment = await readEnvironment();
  for (const line of formatEnvironment(environment)) console.log(line);
  const results: Result[] = [];
  for (const benchmark of selectBenchmarks(only)) {
    console.log(`\n${benchmark.name}: ${benchmark.summary}`);
    const result = await measure(benchmark, options);
    results.push(result);
    if (result.notMeasured !== undefined) console.log(`  NOT MEASURED: ${result.notMeasured}`);
    else for (const line of formatTable(result.measurements)) console.log(`  ${line}`);
  }
  writeFileSync(
    output,
    `${JSON.stringify({ time: new Date().toISOString(), size: options.size, environment, results }, undefined, 2)}\n`,
  );
  for (const line of summarize(results)) console.log(line);
  console.log(`\nResults: ${output}`);
  return results.some(({ notMeasured }) => notMeasured !== undefined) ? 1 : 0;
}

async function measure({ name, run }: Benchmark, options: BenchmarkOptions): Promise<Result> {
  const startMs = performance.now();
  const seconds = () => Math.round((performance.now() - startMs) / 1_000);
  try {
    const measurements = await run((line) => console.log(`  ... ${line}`), options);
    return { name, seconds: seconds(), measurements: measurements.map((each) => ({ ...each, met: isMet(each) })) };
  } catch (error) {
    if (!(error instanceof NotMeasuredError)) console.error(error);
    const notMeasured = error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error);
    return { name, seconds: seconds(), measurements: [], notMeasured };
  }
}

function summarize(results: readonly Result[]): readonly string[] {
  const targets = results.flatMap(({ name, measurements }) =>
    measurements.filter(({ target }) => target).map((each) => ({ ...each, name: `${name}: ${each.name}` })),
  );
  const missing = results.flatMap(({ name, notMeasured }) =>
    notMeasured === undefined ? [] : [`${name}: NOT MEASURED: ${notMeasured}`],
  );
  return [
    '',
    'All targets',
    ...[...(targets.length > 0 ? formatTable(targets) : []), ...missing].map((line) => `  ${line}`),
  ];
}

process.exitCode = await main(childArgument<RunOptions>());
