// The demo's story, run inside the sandbox: its chapters in order, and what is said when a claim does not hold.

import { inspect } from 'node:util';
import { Cluster } from '../support/cluster.js';
import type { WatchedProcess } from '../support/processes.js';
import { failover, serverRestart } from './chapters-of-failure.js';
import { createNetwork, guestsBoot, release, reserve, startCluster, strangerAsks } from './chapters-of-service.js';
import { ClaimError, Narrator } from './narrator.js';
import { Stage } from './stage.js';

// Every wait has its own, shorter end; this is for what was not thought of.
const TIME_LIMIT_MS = 100_000;
const SHOWN_LINES = 12;

async function tell(narrator: Narrator): Promise<number> {
  const started = performance.now();
  const cluster = new Cluster();
  const stage = new Stage(cluster, narrator);
  try {
    await startCluster(stage);
    await createNetwork(stage);
    await reserve(stage);
    await guestsBoot(stage);
    await strangerAsks(stage);
    await failover(stage);
    await serverRestart(stage);
    await release(stage);
  } catch (error) {
    explain(narrator, error, stage);
    return 1;
  }
  await stage[Symbol.asyncDispose]();
  const seconds = ((performance.now() - started) / 1_000).toFixed(1);
  narrator.say('', `All ${narrator.claims} claims were checked and hold. It took ${seconds} s.`);
  return 0;
}

function explain(narrator: Narrator, error: unknown, stage: Stage): void {
  if (error instanceof ClaimError) {
    narrator.failure(`Not so: ${error.message}`, `expected ${shown(error.expected)}`, `seen     ${shown(error.seen)}`);
  } else {
    narrator.failure(`The demo failed: ${error instanceof Error ? error.message : String(error)}`);
  }
  for (const [name, program] of stage.programs()) narrator.failure(`Last words of ${name}:`, ...lastWords(program));
}

function shown(value: unknown): string {
  return inspect(value, { depth: 4, breakLength: 200 });
}

function lastWords(program: WatchedProcess): readonly string[] {
  return program.lines.slice(-SHOWN_LINES).map(({ text }) => text);
}

const narrator = new Narrator();
setTimeout(() => {
  narrator.failure(`The demo failed: it was not over after ${TIME_LIMIT_MS / 1_000} s`);
  process.exit(1);
}, TIME_LIMIT_MS).unref();
// Leaving ends the sandbox and with it whatever still runs in it.
process.exit(await tell(narrator));
