import { expect, test } from 'vitest';
import { WatchedProcess } from './processes.js';

const node = (script: string) => new WatchedProcess(process.execPath, ['-e', script]);

test('a wait ends with the line it is for, said before or after', async () => {
  await using program = node(`console.log('{"msg":"ready","port":7}'); setInterval(() => undefined, 1000)`);
  const line = await program.waitForLine((candidate) => candidate.fields['msg'] === 'ready');
  expect(line.fields['port']).toBe(7);
  expect(await program.waitForLine('ready')).toBe(line);
});

test('a wait for a line that never comes ends with the process and shows what it said', async () => {
  await using program = node(`console.error('cannot bind'); process.exitCode = 3`);
  await expect(program.waitForLine('ready')).rejects.toThrow(/Waited for "ready" .* exited with 3.*\n {2}cannot bind/s);
});

test('only lines from a given number on count', async () => {
  await using program = node(`console.log('round'); console.log('round')`);
  await program.exited;
  await expect(program.waitForLine('round', 2)).rejects.toThrow('exited with 0');
  expect(await program.waitForLine('round', 1)).toBe(program.lines[1]);
});

test('disposing kills, and stop reports the exit code', async () => {
  const disposed = node('setInterval(() => undefined, 1000)');
  await disposed[Symbol.asyncDispose]();
  expect(disposed.exitCode).toBe(128 + 9);
  await using polite = node(
    `process.on('SIGTERM', () => process.exit(0)); console.log('up'); setInterval(() => 0, 1000)`,
  );
  await polite.waitForLine('up');
  expect(await polite.stop()).toBe(0);
});

test('a program that cannot be started says so', async () => {
  await using program = new WatchedProcess('/nonexistent/program', []);
  expect(await program.exited).toBe(127);
  await expect(program.waitForLine('ready')).rejects.toThrow('ENOENT');
});
