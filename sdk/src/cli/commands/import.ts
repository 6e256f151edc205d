// `leasehold reservation import`

import type { Leasehold } from '../../connect.js';
import { LeaseholdError } from '../../errors.js';
import { parseOwner } from '../../gen/values.js';
import type { Reservation } from '../../reservations.js';
import { command, PAGES } from '../command.js';
import { exitCode } from '../errors.js';
import { type Finding, report } from '../findings.js';
import { oneOf, someText, texts, toggle } from '../flags.js';
import { parseCsv } from '../import/csv.js';
import { parseDnsmasq } from '../import/dnsmasq.js';
import { type Parsed, problem } from '../import/entry.js';
import { type Defaults, inTurns, type PlacedEntry, type Places, place, plan, type Step } from '../import/plan.js';
import type { Output } from '../output.js';
import type { Json } from '../yaml.js';

// For a progress that moves.
const BATCH = 200;

/** The command that takes over what people have. */
export const importCommands = [
  command({
    path: ['reservation', 'import'],
    summary: 'Reserves what a file says, all of it or, where anything is wrong with it, nothing',
    args: { file: { help: 'The file, or - for standard input' } },
    flags: {
      format: oneOf(['csv', 'dnsmasq'], 'What the file is', 'csv for a name that ends in .csv'),
      subnet: someText('ID', 'The subnet of what says none itself'),
      network: someText('ID', 'The network of what says none itself; the subnet is found by the address'),
      owner: someText('TEXT', 'The owner of what says none itself'),
      ignoreColumn: texts('NAME', 'Columns of a CSV file to pass over'),
      dryRun: toggle('Write nothing, and list what would be done', 'false'),
      progress: toggle('Say on stderr how far it is', 'on a terminal'),
    },
    examples: [
      'reservation import hosts.csv --network red --dry-run',
      'reservation import hosts.csv --network red --owner import-2026',
      'reservation import /etc/dnsmasq.d/hosts.conf --format dnsmasq --network red',
    ],
    async run(leasehold, { file }, { format, ignoreColumn, dryRun = false, progress, ...defaults }, _nowMs, shell) {
      const kind = format ?? (file.toLowerCase().endsWith('.csv') ? 'csv' : undefined);
      if (kind === undefined) return { kind: 'usage', problem: '--format is missing' };
      const owned = parseOwner(defaults.owner ?? '');
      if (!owned.ok) return { kind: 'usage', problem: `--owner: ${owned.problem}` };
      const content = await shell.readText(file);
      if (!content.ok) return { kind: 'usage', problem: content.problem };
      const parsed = kind === 'csv' ? parseCsv(content.value, ignoreColumn) : parseDnsmasq(content.value);
      const { subnet: subnetId, network: networkId, owner } = defaults;
      const say = (said: string) => shell.progress(said, progress);
      try {
        const checked = await check(leasehold, parsed, { subnetId, networkId, owner }, say);
        const outcome = dryRun || hasProblem(checked) ? checked : await write(leasehold, checked, say);
        return summary(outcome, dryRun);
      } finally {
        say('');
      }
    },
  }),
];

/** What is to be done, or what was done and what came of it. */
interface Outcome {
  readonly steps: readonly Step[];
  readonly findings: readonly Finding[];
  /** By step; absent before it was written. */
  readonly written?: ReadonlyMap<Step, Reservation>;
  readonly code: number;
}

function hasProblem({ findings }: { readonly findings: readonly Finding[] }): boolean {
  return findings.some(({ severity }) => severity === 'problem');
}

async function check(
  leasehold: Leasehold,
  parsed: Parsed,
  defaults: Defaults,
  say: (said: string) => void,
): Promise<Outcome> {
  const places = await readPlaces(leasehold);
  const { placed, findings } = place(parsed.entries, defaults, places);
  const planned = plan(placed, await readReservations(leasehold, placed, say), places);
  const all = [...parsed.findings, ...findings, ...planned.findings].toSorted((a, b) => lineOf(a) - lineOf(b));
  return { steps: planned.steps, findings: all, code: hasProblem({ findings: all }) ? 1 : 0 };
}

const lineOf = ({ about }: Finding): number => Number(/^line ([0-9]+)$/.exec(about)?.[1] ?? Infinity);

async function readPlaces(leasehold: Leasehold): Promise<Places> {
  const [networks, subnets] = await Promise.all([
    leasehold.networks.list(PAGES).toArray(),
    leasehold.subnets.list({}, PAGES).toArray(),
  ]);
  return {
    networks: new Map(networks.map((network) => [network.networkId, network])),
    subnets: new Map(subnets.map((subnet) => [subnet.subnetId, subnet])),
  };
}

async function readReservations(
  leasehold: Leasehold,
  placed: readonly PlacedEntry[],
  say: (said: string) => void,
): Promise<readonly Reservation[]> {
  const found: Reservation[] = [];
  for (const networkId of new Set(placed.map(({ network }) => network.networkId))) {
    for await (const reservation of leasehold.reservations.list({ networkId }, PAGES)) {
      if (found.push(reservation) % PAGES.pageSize === 0) say(`${found.length} reservations of the server read`);
    }
  }
  return found;
}

async function write(leasehold: Leasehold, checked: Outcome, say: (said: string) => void): Promise<Outcome> {
  const turns = inTurns(checked.steps);
  const count = turns.flat().length;
  const written = new Map<Step, Reservation>();
  const findings = [...checked.findings];
  let code = 0;
  try {
    for (const batch of turns.flatMap((turn) => inChunks(turn, BATCH))) {
      const results = await leasehold.reservations.reserveMany(batch.map(({ request }) => request));
      for (const [index, step] of batch.entries()) {
        const result = results[index];
        if (result?.ok) written.set(step, result.reservation);
        else if (result) findings.push(refused(step, result.error));
      }
      say(`${written.size} of ${count} reserved`);
    }
  } catch (error) {
    if (!(error instanceof LeaseholdError)) throw error;
    findings.push(interrupted(error, written.size));
    code = exitCode(error);
  }
  findings.sort((a, b) => lineOf(a) - lineOf(b));
  return { ...checked, findings, written, code: Math.max(code, hasProblem({ findings }) ? 1 : 0) };
}

function inChunks<T>(items: readonly T[], size: number): readonly (readonly T[])[] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, n) => items.slice(n * size, (n + 1) * size));
}

function refused({ entry }: Step, error: LeaseholdError): Finding {
  return problem(entry.line, `${error.message} (${error.reason})`, 'Correct it and import again: what is done stays');
}

function interrupted(error: LeaseholdError, done: number): Finding {
  const what = `${error.message} (${error.reason}), after ${done} were reserved`;
  const next = 'Import again: what is there already is passed over';
  return { check: 'import', severity: 'problem', about: 'file', what, next };
}

function summary({ steps, findings, written, code }: Outcome, dryRun: boolean): Output {
  const wanted = steps.filter(({ kind }) => kind === 'reserve').length;
  const present = steps.length - wanted;
  const reserved = written?.size ?? 0;
  const facts = { dry_run: dryRun, reserved, present, to_reserve: wanted - reserved };
  // With a problem what else would be done is not worth a line: it is not done.
  const planned = dryRun && !hasProblem({ findings }) ? steps.map(planOf) : [];
  const entries = steps.map((step) => entryJson(step, written?.get(step)));
  return report([...findings, ...planned], verdict(facts, hasProblem({ findings })), code, { ...facts, entries });
}

function verdict(
  { dry_run: dryRun, reserved, present, to_reserve: left }: Readonly<Record<string, number | boolean>>,
  broken: boolean,
): string {
  if (dryRun)
    return `${broken ? 'Nothing would be written' : `${left} would be reserved`}, ${present} are there already`;
  if (broken && reserved === 0) return 'Nothing was written';
  return `${reserved} reserved, ${present} were there already${broken ? `, ${left} are not reserved` : ''}`;
}

function planOf({ kind, entry }: Step): Finding {
  const where = entry.subnet ? `subnet ${entry.subnet.subnetId}` : `network ${entry.network.networkId}`;
  const what = `${entry.address ?? 'an address'} of ${where} for ${entry.mac}`;
  const done = kind === 'present' ? 'is there already' : 'would be reserved';
  return { check: `import-${kind}`, severity: 'ok', about: `line ${entry.line}`, what: `${what} ${done}` };
}

function entryJson(step: Step, made: Reservation | undefined): Json {
  const there = step.kind === 'present' ? step.reservation : made;
  return {
    line: step.entry.line,
    mac: step.entry.mac,
    address: there?.address ?? step.entry.address ?? '',
    subnet_id: there?.subnetId ?? step.entry.subnet?.subnetId ?? '',
    result: step.kind === 'present' ? 'present' : made ? 'reserved' : 'not reserved',
  };
}
