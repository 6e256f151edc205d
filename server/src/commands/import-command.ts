// `leasehold-server import`: puts an export into an empty store.

import { parseText } from '@leasehold/program/option-values';
import { type OptionTable, type ProgramSpec, requiredValue, toggle } from '@leasehold/program/options';
import { fail, optionsOrExit } from '@leasehold/program/shutdown';
import { systemClock } from '@leasehold/program/system-clock';
import { systemEntropy } from '@leasehold/program/system-entropy';
import { readLines } from '../adapters/files/read-lines.js';
import { targetOf } from '../open-transfer.js';
import type { ImportTarget } from '../ports/transfer.js';
import { formatStore, parseStore, withoutUser } from '../store-target.js';
import { type CheckedExport, checkExport, type ExportFile, importExport } from '../transfer/import.js';
import { formatCounts, Progress, quantity } from '../transfer/progress.js';
import { type CommandContext, messageOf } from './command.js';

const NAME = 'leasehold-server import';

const OPTIONS = {
  store: requiredValue({
    unit: 'store',
    help: 'where it goes: a directory or a database that is empty or not there yet',
    parse: parseStore,
    shown: withoutUser,
  }),
  input: requiredValue({ unit: 'file', help: 'what leasehold-server export wrote', parse: parseText }),
  dryRun: toggle({ help: 'check the file and look at the store, and write nothing' }),
} satisfies OptionTable;

function program(version: string): ProgramSpec<typeof OPTIONS> {
  return {
    name: NAME,
    version,
    summary:
      'Puts an export into an empty store, which then goes on as the one that was exported. The whole file is checked before anything is written; what was begun and not finished is refused by every server, and can be imported again.',
    options: OPTIONS,
    examples: [
      'leasehold-server import --input leasehold.jsonl --store embedded:/var/lib/leasehold/new --dry-run',
      "leasehold-server import --input leasehold.jsonl --store 'mongodb://db1,db2,db3/leasehold?replicaSet=rs0'",
    ],
  };
}

/** Runs the command. */
export async function runImport({ version, stderr, ...sources }: CommandContext): Promise<void> {
  const { store, input, dryRun } = optionsOrExit(program(version), sources);
  const progress = new Progress(systemClock(), stderr, NAME);
  const target = targetOf(store, systemEntropy());
  const file: ExportFile = { read: () => readLines(input) };
  let what = `--store ${formatStore(store)} cannot be imported into`;
  try {
    const found = await target.look();
    what = `--input ${input} cannot be imported`;
    const checked = await check(file, progress);
    if (dryRun)
      return progress.say(
        `${input} is whole: ${formatCounts(checked.counts)}; the store is ${found}, nothing was written`,
      );
    if (found === 'unfinished') progress.say('the store holds an import that did not finish: it is started over');
    what = `the import into ${formatStore(store)} did not finish, import again`;
    await write(file, checked, target, progress);
    const { storeUid, incarnation } = checked.header;
    const now = `store ${storeUid}, now incarnation ${incarnation + 1}`;
    progress.say(`imported ${formatCounts(checked.counts)} into ${formatStore(store)}: ${now}`);
  } catch (error) {
    progress.clear();
    fail(NAME, `${what}: ${withoutUser(messageOf(error))}`);
  } finally {
    await target.close();
  }
}

async function check(file: ExportFile, progress: Progress): Promise<CheckedExport> {
  const checked = await checkExport(file, (share) => progress.now(() => `checked ${percent(share)} of the file`));
  if (!checked.ok) throw new Error(checked.problem);
  return checked.value;
}

async function write(
  file: ExportFile,
  checked: CheckedExport,
  target: ImportTarget,
  progress: Progress,
): Promise<void> {
  const all = Object.values(checked.counts).reduce((sum, count) => sum + count, 0);
  const told = (written: number) => {
    if (written === all) progress.say(`wrote ${quantity(all, 'document')}, making indexes`);
    else
      progress.now(
        () => `wrote ${written.toLocaleString('en')} of ${quantity(all, 'document')} (${percent(written / all)})`,
      );
  };
  const imported = await importExport(file, checked, target, told);
  if (!imported.ok) throw new Error(imported.problem);
}

function percent(share: number): string {
  return `${Math.floor(100 * share)} %`;
}
