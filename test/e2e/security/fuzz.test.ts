// Hostile input to a real server, of which `npm run fuzz` sends a million, and to real agents.

import { join } from 'node:path';
import { expect, test } from 'vitest';
import { fuzzAgentBytes } from '../../fuzz/fuzz-agent-bytes.js';
import { ATTACKS, fuzzServer, SMALL_HEAP } from '../../fuzz/fuzz-server.js';
import { temporaryDirectory } from '../../support/sandbox.js';
import { TestServer } from '../../support/test-server.js';

test('a server stays up, does not grow, and keeps what it had, whatever is sent to it', async () => {
  using directory = temporaryDirectory('fuzz-');
  await using server = new TestServer(directory.path, '', `embedded:${join(directory.path, 'data')}`);
  await server.start([], SMALL_HEAP);
  const { problems, sent } = await fuzzServer(server, { inputs: 10_000, seed: 1 });
  expect(problems).toEqual([]);
  expect([...sent.keys()].sort()).toEqual([...ATTACKS].sort());
}, 300_000);

test('agents stay up, do not grow, keep their tables, and serve again, whatever their servers answer', async () => {
  const { problems } = await fuzzAgentBytes({ inputs: 60, seed: 1 });
  expect(problems).toEqual([]);
}, 180_000);
