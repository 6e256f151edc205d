import { expect, test } from 'vitest';
import { widthOf } from './width.js';

test.each([
  ['vm-42/nic0', 10],
  ['', 0],
  ['müller', 6],
  ['mu\u0308ller', 6],
  ['\u0308', 0],
  ['東京', 4],
  ['ﾄｳｷｮｳ', 5],
  ['한국', 4],
  ['\u1112\u1161\u11ab', 2],
  ['ＡＢ', 4],
  ['🚀', 2],
  ['❤\ufe0f', 2],
  ['🇩🇪', 2],
  ['𠮷', 2],
  ['…→', 2],
])('%j takes %i columns', (text, columns) => {
  expect(widthOf(text)).toBe(columns);
});
