// `npm run simulate`: many schedules, each from its seed; a failing one is told with what happened last.

import { parseArgs } from 'node:util';
import { runSchedule } from './run.js';
import { scheduleOf } from './schedule.js';

const HELP = `Usage: npm run simulate -- [--seeds N] [--from S] [--minutes M] [--workers W] [--trace]

Runs the control plane and its agents in virtual time, with random faults, and checks that nothing that must never happen
does. docs/simulation.md says how to read a failure.

Options:
  --seeds N    how many schedules (default: 100)
  --from S     the first seed (default: 1)
  --minutes M  how long each one is, in virtual minutes (default: 5 to 20, as its seed says)
  --trace      print what happened also of schedules in which all was well
  --help       print this
`;

interface Options {
  readonly seeds: number;
  readonly from: number;
  readonly minutes: number | undefined;
  readonly trace: boolean;
}

async function main(args: readonly string[]): Promise<number> {
  const options = readArgs(args);
  if (typeof options === 'string') {
    console.error(`simulate: ${options} (see --help)`);
    return 2;
  }
  if (!options) {
    process.stdout.write(HELP);
    return 0;
  }
  let failures = 0;
  let turns = 0;
  const startMs = performance.now();
  for (let seed = options.from; seed < options.from + options.seeds; seed++) {
    const outcome = await runSchedule(scheduleOf(seed, options.minutes));
    turns += outcome.turns;
    const { violation } = outcome;
    if (options.trace) console.log(outcome.trace.join('\n'));
    if (options.trace) console.log(outcome.counts);
    if (!violation) continue;
    failures++;
    if (!options.trace && failures <= 3) console.log(outcome.trace.slice(-40).join('\n'));
    console.log(`seed ${seed}: ${violation.invariant} at ${(violation.atMs / 1_000).toFixed(3)} s: ${violation.what}`);
  }
  const seconds = (performance.now() - startMs) / 1_000;
  console.log(`${options.seeds} schedules, ${failures} broken, ${turns} turns, ${seconds.toFixed(1)} s`);
  return failures > 0 ? 1 : 0;
}

/** What to run; undefined: help is wanted; a string: what is wrong. */
function readArgs(args: readonly string[]): Options | undefined | string {
  const options = {
    seeds: { type: 'string', default: '100' },
    from: { type: 'string', default: '1' },
    minutes: { type: 'string' },
    trace: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  } as const;
  try {
    const { values } = parseArgs({ args: [...args], options });
    if (values.help) return undefined;
    const [seeds, from] = [Number(values.seeds), Number(values.from)];
    if (!Number.isInteger(seeds) || seeds < 1) return '--seeds is a number from 1';
    if (!Number.isInteger(from) || from < 0) return '--from is a number from 0';
    const minutes = values.minutes === undefined ? undefined : Number(values.minutes);
    if (minutes !== undefined && !(minutes > 0)) return '--minutes is a number above 0';
    return { seeds, from, minutes, trace: values.trace };
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

process.exitCode = await main(process.argv.slice(2));
