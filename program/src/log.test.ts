import { expect, test } from 'vitest';
import { createLog, type LogFormat, type LogLevel } from './log.js';

function capture(level: LogLevel, format: LogFormat) {
  const lines: string[] = [];
  return { lines, log: createLog({ level, format, sink: { write: (line) => lines.push(line) } }) };
}

test('a json line carries ISO time, level name, message and fields', () => {
  const { lines, log } = capture('info', 'json');
  log.info('Listening', { address: '127.0.0.1:1' });
  const line: unknown = JSON.parse(lines[0] ?? '');
  expect(line).toEqual({ level: 'info', time: expect.any(String), msg: 'Listening', address: '127.0.0.1:1' });
  expect((line as { time: string }).time).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
});

test('lines below the level are not written, a message without fields is', () => {
  const { lines, log } = capture('warn', 'json');
  log.debug('no');
  log.info('no');
  log.warn('yes');
  log.error('yes');
  expect(lines.map((line) => (JSON.parse(line) as { msg: string }).msg)).toEqual(['yes', 'yes']);
});

test('a narrowed log adds its fields to every line', () => {
  const { lines, log } = capture('debug', 'json');
  log.with({ host: 'h1' }).with({ epoch: 3n }).debug('Hello', { n: 1 });
  expect(JSON.parse(lines[0] ?? '')).toMatchObject({ host: 'h1', epoch: 3, n: 1 });
});

test('an error field shows its message and stack', () => {
  const { lines, log } = capture('info', 'json');
  log.error('Failed', { error: new TypeError('boom') });
  expect(JSON.parse(lines[0] ?? '')).toMatchObject({
    error: { type: 'TypeError', message: 'boom', stack: expect.any(String) },
  });
});

test('a pretty line is one line with quoted values where needed', () => {
  const { lines, log } = capture('info', 'pretty');
  log.warn('Slow store', { ms: 12, reason: 'two words', node: 'a' });
  expect(lines).toHaveLength(1);
  expect(lines[0]).toMatch(/^\S+Z WARN {2}Slow store ms=12 reason="two words" node=a\n$/);
});

test('a newline in a message or a value cannot forge a second line', () => {
  for (const format of ['json', 'pretty'] as const) {
    const { lines, log } = capture('info', format);
    log.info('one\nERROR two', { value: 'a\nb' });
    expect(lines.join('').split('\n')).toHaveLength(2);
  }
});
