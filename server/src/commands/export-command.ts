// `leasehold-server export`: writes a whole store to a file.

import { parseText } from '@leasehold/program/option-values';
import { type OptionTable, type ProgramSpec, requiredValue, value } from '@leasehold/program/options';
import { fail, optionsOrExit } from '@leasehold/program/shutdown';
import { systemClock } from '@leasehold/program/system-clock';
import { openWholeFile, type Sink, streamSink } from '../adapters/files/whole-file.js';
import type { WallTime } from '../domain/ids.js';
import { openSource } from '../open-transfer.js';
import { formatStore, parseStore, type StoreTarget, withoutUser } from '../store-target.js';
import { exportLines } from '../transfer/export.js';
import { formatCounts, Progress } from '../transfer/progress.js';
import { type CommandContext, messageOf } from './command.js';

const NAME = 'leasehold-server export';
const STANDARD_OUTPUT = '-';

const OPTIONS = {
  store: requiredValue({
    unit: 'store',
    help: 'what is exported, as the server has it; no server may serve it meanwhile',
    parse: parseStore,
    shown: withoutUser,
  }),
  output: value({
    unit: 'file',
    help: 'where it is written, by way of FILE.partial; - is the standard output',
    parse: parseText,
    default: STANDARD_OUTPUT,
  }),
} satisfies OptionTable;

function program(version: string): ProgramSpec<typeof OPTIONS> {
  return {
    name: NAME,
    version,
    summary:
      'Writes everything in a store to a file, for leasehold-server import. Stop every server of the store before.',
    options: OPTIONS,
    examples: [
      'leasehold-server export --store embedded:/var/lib/leasehold/data --output leasehold.jsonl',
      "leasehold-server export --store 'mongodb://db1,db2,db3/leasehold?replicaSet=rs0' | zstd > leasehold.jsonl.zst",
    ],
  };
}

/** Runs the command. */
export async function runExport({ version, stdout, stderr, ...sources }: CommandContext): Promise<void> {
  const { store, output } = optionsOrExit(program(version), sources);
  const progress = new Progress(systemClock(), stderr, NAME);
  try {
    const said = await exportTo(store, () => sinkOf(output, stdout), progress);
    progress.say(`${said} to ${output === STANDARD_OUTPUT ? 'the standard output' : output}`);
  } catch (error) {
    progress.clear();
    const what =
      error instanceof OutputError
        ? `--output ${output} cannot be written`
        : `--store ${formatStore(store)} cannot be exported`;
    fail(NAME, `${what}: ${withoutUser(messageOf(error))}`);
  }
}

/** What became of the place an export is written to. */
class OutputError extends Error {
  override readonly name = 'OutputError';
}

async function sinkOf(output: string, stdout: NodeJS.WritableStream): Promise<Sink> {
  return output === STANDARD_OUTPUT ? streamSink(stdout) : toOutput(openWholeFile(output));
}

async function toOutput<T>(done: Promise<T>): Promise<T> {
  try {
    return await done;
  } catch (error) {
    throw new OutputError(messageOf(error), { cause: error });
  }
}

async function exportTo(store: StoreTarget, openSink: () => Promise<Sink>, progress: Progress): Promise<string> {
  const clock = systemClock();
  const source = await openSource(store, clock);
  try {
    const sink = await openSink();
    let counts = { networks: 0, hosts: 0, slots: 0, history: 0, audit: 0 };
    try {
      const exportTime = clock.wallTime().getTime() as WallTime;
      const lines = exportLines(source, exportTime, (so_far) => {
        counts = so_far;
        progress.now(() => `${formatCounts(so_far)} so far`);
      });
      for await (const chunk of lines) await toOutput(sink.write(chunk));
    } catch (error) {
      await sink.abandon();
      throw error;
    }
    await toOutput(sink.finish());
    const { storeUid, incarnation } = source.identity;
    return `exported ${formatCounts(counts)} of store ${storeUid}, incarnation ${incarnation},`;
  } finally {
    await source.close();
  }
}
