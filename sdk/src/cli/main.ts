// The `leasehold` program: the only file of the command line that touches the process.

import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { buffer } from 'node:stream/consumers';
import { system } from '../system.js';
import type { Parsed } from './flags.js';
import { run } from './run.js';

const manifest: unknown = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
const { version } = manifest as { readonly version: string };

const enough = new AbortController();

for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
    // `leasehold … | head`: the reader has seen enough, which is no failure and ends what only shows. What changes something
    // goes on to its end and its own exit code: an import must not be left half done for want of a reader.
    if (stream === process.stdout) enough.abort();
  });
}

// Only when a command asks: others have nothing to finish, and Ctrl-C ends them at once, as it does when pressed again.
function interrupted(): AbortSignal {
  // A SIGTERM as well: a screen that is redrawn must be left as it was.
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => enough.abort());
  return enough.signal;
}

async function readText(path: string): Promise<Parsed<string>> {
  try {
    const bytes = path === '-' ? await buffer(process.stdin) : await readFile(path);
    // Strictly: what some spreadsheets write, UTF-16, would be read as other names than it says.
    return { ok: true, value: new TextDecoder('utf-8', { fatal: true }).decode(bytes) };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const why = code === 'ERR_ENCODING_INVALID_ENCODED_DATA' ? 'it is not UTF-8 text' : code;
    return { ok: false, problem: `${path} cannot be read: ${why}` };
  }
}

// Not process.exit(): what is still being written to a pipe would be lost.
process.exitCode = await run(process.argv.slice(2), {
  runtime: system,
  version,
  stdout: (text) => process.stdout.write(text),
  stderr: (text) => process.stderr.write(text),
  rows: () => (process.stdout.isTTY ? process.stdout.rows : undefined),
  terminals: { stdout: process.stdout.isTTY, stderr: process.stderr.isTTY },
  readText,
  interrupted,
});
