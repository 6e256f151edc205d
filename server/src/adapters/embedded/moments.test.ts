import { expect, test } from 'vitest';
import { newestOf } from './moments.js';

test('a look at slots ends after the bite at which its asker went away', async () => {
  const gone = new AbortController();
  let bites = 0;
  function* batches() {
    for (;;) {
      if (++bites === 3) gone.abort();
      yield [];
    }
  }
  expect(await newestOf(batches(), { moment: 'createTime' }, undefined, 9, gone.signal)).toBe('too-long');
  expect(bites).toBe(3);
});
