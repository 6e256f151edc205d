// The benchmarks' inner part: runs them in the sandbox, prints a table of each and writes all results at the end.

import { writeFileSync } from 'node:fs';
import { formatTable, isMet, type Measurement } from './benchmark.js';
import { BENCHMARKS } from './benchmarks.js';
import { childArgument } from './child.js';
import { formatEnvironment, readEnvironment } from './environment.js';

/** What to run. */
export interface RunOptions {
  /** Names; empty: all. */
  readonly only: readonly string[];
  /** Path of the results. */
  readonly output: string;
}

async function main({ only, output }: RunOptions): Promise<void> {
  const environment = await readEnvironment();
  for (const line of formatEnvironment(environment)) console.log(line);
  const results: { name: string; measurements: readonly (Measurement & { met: boolean | undefined })[] }[] = [];
  for (const { name, summary, run } of BENCHMARKS) {
    if (only.length > 0 && !only.includes(name)) continue;
    console.log(`\n${name}: ${summary}`);
    const measurements = await run((line) => console.log(`  ... ${line}`));
    for (const line of formatTable(measurements)) console.log(`  ${line}`);
    results.push({ name, measurements: measurements.map((each) => ({ ...each, met: isMet(each) })) });
  }
  writeFileSync(output, `${JSON.stringify({ time: new Date().toISOString(), environment, results }, undefined, 2)}\n`);
  console.log(`\nResults: ${output}`);
}

await main(childArgument<RunOptions>());
