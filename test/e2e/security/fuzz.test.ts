// Hostile input to a real server; `npm run fuzz` sends a million.

import { join } from 'node:path';
import { expect, test } from 'vitest';
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
