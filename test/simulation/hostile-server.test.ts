import { expect, test } from 'vitest';
import { fuzzAgent } from '../fuzz/fuzz-agent.js';

test('an agent survives whatever its server says, and serves when it hears sense again', async () => {
  const { said, ended, answers } = await fuzzAgent(10_000, 1);
  expect(answers).toEqual(['52:54:00:00:00:0a=10.0.0.10']);
  // Neither is everything taken, nor is everything refused.
  expect(said).toBeGreaterThan(3_000);
  expect(ended).toBeGreaterThan(500);
  expect(ended).toBeLessThan(said);
});
