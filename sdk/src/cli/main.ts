// The `leasehold` program: the only file of the command line that touches the process.

import { readFileSync } from 'node:fs';
import { system } from '../system.js';
import { run } from './run.js';

const manifest: unknown = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
const { version } = manifest as { readonly version: string };

for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    // `leasehold … | head`: the reader has seen enough, which is no failure.
    if (error.code === 'EPIPE') process.exit();
    throw error;
  });
}

// Only when a command asks: others have nothing to finish, and Ctrl-C ends them at once, as it does when pressed again.
function interrupted(): AbortSignal {
  const abort = new AbortController();
  process.once('SIGINT', () => abort.abort());
  return abort.signal;
}

// Not process.exit(): what is still being written to a pipe would be lost.
process.exitCode = await run(process.argv.slice(2), {
  runtime: system,
  version,
  stdout: (text) => process.stdout.write(text),
  stderr: (text) => process.stderr.write(text),
  terminals: { stdout: process.stdout.isTTY, stderr: process.stderr.isTTY },
  interrupted,
});
