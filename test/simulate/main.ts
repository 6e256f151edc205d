// `npm run simulate`: many schedules, each from its seed; a broken one is told with what happened last.

import { parseArgs } from 'node:util';
import { type CrewOptions, runSeeds } from './crew.js';
import { type ListedMutant, MUTANTS, mutantOf } from './mutants/list.js';
import { switchOn } from './mutants/mutation.js';
import type { Outcome } from './run.js';
import { SCENES, type SceneName } from './scenes.js';
import { MOODS, type Mood, scheduleOf } from './schedule.js';

const HELP = `Usage: npm run simulate -- [--seeds N] [--from S] [--minutes M] [--mood MOOD] [--workers W] [--lines L]
                              [--guests yes|no] [--scene SCENE] [--shrink R] [--counts]
                              [--mutant NAME | --mutants]

Runs servers and agents in virtual time, with random faults, and looks whether what must never happen does.
docs/simulation.md says how to read a failure.

Options:
  --seeds N    how many schedules (default: 100; of a mutant its own)
  --from S     the first seed (default: 1; of a mutant its own)
  --minutes M  how long each one is, in virtual minutes (default: 5 to 11, as its seed says)
  --mood MOOD  what goes wrong: any; restarts: servers are restarted, and nothing may move; sick: whatever else befalls
               the control plane, and nothing may move (default: any)
  --guests YN  whether there are guests, on wires (default: as the seed says)
  --scene SCENE  let nothing happen but what one rule is for: ${Object.keys(SCENES).join(', ')}
  --workers W  threads (default: 2; of a mutant 1)
  --lines L    how much of what happened is printed of a broken one (default: 40)
  --shrink R   make a broken schedule as short as R runs can, and print what is left of it (default: 0)
  --counts     print how often each fault, each answer, and whatever else is counted happened in all runs together
  --mutant NAME  switch a mistake on, and run its seeds, or those that are given, until one of them is broken: then, and
               only then, the exit code is 0
  --mutants    print the names of all mistakes, and what they are
  --help       print this
`;

/** With guests, only without them; as the seed says. */
const GUESTS = { yes: true, no: false } as const;

interface Options extends CrewOptions {
  readonly lines: number;
  readonly shrinkRuns: number;
  readonly isCounted: boolean;
}

async function main(args: readonly string[]): Promise<number> {
  const options = readArgs(args);
  if (typeof options === 'string') {
    console.error(`simulate: ${options} (see --help)`);
    return 2;
  }
  if ('print' in options) {
    process.stdout.write(options.print);
    return 0;
  }
  const startMs = performance.now();
  const broken: Outcome[] = [];
  let [ran, turns, virtualMs] = [0, 0, 0];
  const counts = new Map<string, number>();
  const seconds = () => (performance.now() - startMs) / 1_000;
  await runSeeds(options, (outcome) => {
    ran++;
    turns += outcome.turns;
    virtualMs += outcome.virtualMs;
    for (const [what, times] of outcome.counts) counts.set(what, (counts.get(what) ?? 0) + times);
    if (outcome.violation) {
      broken.push(outcome);
      tell(outcome, options.lines);
    }
    if (process.stderr.isTTY) process.stderr.write(`\r${ran} of ${options.seeds}, ${seconds().toFixed(0)} s `);
    return options.mutant === undefined || broken.length === 0;
  });
  if (process.stderr.isTTY) process.stderr.write('\r');
  if (options.shrinkRuns > 0) for (const { seed } of broken) await tellShrunk(seed, options);
  if (options.isCounted) for (const what of [...counts.keys()].sort()) console.log(countLine(what, counts));
  const hours = (virtualMs / 3_600_000).toFixed(1);
  console.log(
    `${ran} schedules, ${broken.length} broken; ${hours} virtual hours, ${turns} turns, ${seconds().toFixed(1)} s`,
  );
  return broken.length > 0 === (options.mutant !== undefined) ? 0 : 1;
}

function lineOf({ name, rule, mistake }: ListedMutant): string {
  return `${name.padEnd(36)} ${rule.padEnd(14)} ${mistake}\n`;
}

function countLine(what: string, counts: ReadonlyMap<string, number>): string {
  return `${String(counts.get(what)).padStart(9)} ${what}`;
}

async function tellShrunk(seed: number, options: Options): Promise<void> {
  const mutant = options.mutant === undefined ? undefined : mutantOf(options.mutant);
  if (mutant) switchOn(mutant);
  // Not before: a mistake is only in what is imported after it was switched on.
  const { runSchedule } = await import('./run.js');
  const { shrink } = await import('./shrink.js');
  const { schedule, outcome, runs } = await shrink(scheduleOf(seed, options), runSchedule, options.shrinkRuns);
  console.log(`\nseed ${seed} after ${runs} runs, ${schedule.actions.length} actions left:`);
  for (const { atMs, ...rest } of schedule.actions) {
    console.log(`${(atMs / 1_000).toFixed(3).padStart(9)} ${JSON.stringify(rest)}`);
  }
  tell(outcome, options.lines);
}

function tell({ seed, violation, trace }: Outcome, lines: number): void {
  if (!violation) return;
  const last = lines > 0 ? `${trace.slice(-lines).join('\n')}\n` : '';
  const { invariant, what, atMs } = violation;
  console.log(`\n${last}seed ${seed}: ${invariant} at ${(atMs / 1_000).toFixed(3)} s: ${what}`);
}

/** What to run, or to print; another string: what is wrong. */
function readArgs(args: readonly string[]): Options | { readonly print: string } | string {
  const options = {
    seeds: { type: 'string' },
    from: { type: 'string' },
    minutes: { type: 'string' },
    mood: { type: 'string' },
    guests: { type: 'string' },
    scene: { type: 'string' },
    workers: { type: 'string' },
    lines: { type: 'string', default: '40' },
    shrink: { type: 'string', default: '0' },
    counts: { type: 'boolean', default: false },
    mutant: { type: 'string' },
    mutants: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  } as const;
  try {
    const { values } = parseArgs({ args: [...args], options });
    if (values.help) return { print: HELP };
    if (values.mutants) return { print: MUTANTS.map(lineOf).join('') };
    const { mutant } = values;
    const field = mutant === undefined ? undefined : mutantOf(mutant)?.field;
    if (mutant !== undefined && !field) return `there is no mutant ${mutant}, --mutants prints them`;
    const { mood = field?.mood, guests } = values;
    if (mood !== undefined && !isMood(mood)) return `--mood is one of ${MOODS.join(', ')}`;
    if (guests !== undefined && guests !== 'yes' && guests !== 'no') return '--guests is yes or no';
    const { scene = field?.scene } = values;
    if (scene !== undefined && !isScene(scene)) return `--scene is one of ${Object.keys(SCENES).join(', ')}`;
    const hasGuests = guests === undefined ? field?.hasGuests : GUESTS[guests];
    const minutes = values.minutes === undefined ? field?.minutes : Number(values.minutes);
    if (minutes !== undefined && !(minutes > 0)) return '--minutes is a number above 0';
    const numbers = {
      seeds: Number(values.seeds ?? field?.seeds ?? 100),
      from: Number(values.from ?? field?.from ?? 1),
      workers: Number(values.workers ?? (field ? 1 : 2)),
    };
    for (const [name, value] of Object.entries(numbers)) {
      if (!Number.isInteger(value) || value < 1) return `--${name} is a number from 1`;
    }
    return {
      ...{ ...numbers, minutes, mood, hasGuests, mutant, scene },
      ...{ lines: Number(values.lines), shrinkRuns: Number(values.shrink), isCounted: values.counts },
    };
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

function isMood(text: string): text is Mood {
  return MOODS.some((mood) => mood === text);
}

function isScene(text: string): text is SceneName {
  return Object.hasOwn(SCENES, text);
}

process.exitCode = await main(process.argv.slice(2));
