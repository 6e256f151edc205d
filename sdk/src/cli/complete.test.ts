import { describe, expect, test } from 'vitest';
import { EVERYTHING, leasehold, withServer } from '../test-support/cli.js';
import { COMMANDS } from './commands.js';
import { SHELLS } from './shells.js';

/** The words that may stand at the end of a line; a blank at its end begins a new one. */
async function at(line: string, run: typeof leasehold = leasehold): Promise<string[]> {
  const { code, stdout, stderr } = await run(['__complete', ...line.split(' ')]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  return stdout.split('\n').flatMap((text) => text.split('\t')[0] || []);
}

describe('at the cursor may stand', () => {
  test('every command, by its words', async () => {
    const first = new Set(COMMANDS.map(({ path }) => path[0]));
    expect(await at('')).toEqual([...first]);
    expect(await at('res')).toEqual(['reserve', 'reservation']);
    expect(await at('network ')).toEqual(['create', 'get', 'list', 'update', 'delete']);
    expect(await at('-o json network l')).toEqual(['list']);
  });

  test('the flags of the command, those that are given only if they may be again', async () => {
    expect(await at('network list --')).toContain('--output');
    const flags = await at('reserve red-a --owner x --label a=b --');
    expect(flags).toEqual(expect.arrayContaining(['--address', '--label', '--timeout', '--help']));
    expect(flags).not.toContain('--owner');
    expect(await at('host update h1 --ma')).toEqual(['--managed', '--maintenance']);
    expect(await at('host update h1 --no-ma')).toEqual(['--no-managed', '--no-maintenance']);
  });

  test.each<[string, string[]]>([
    ['network list -o ', ['table', 'json', 'yaml']],
    ['network list --output j', ['json']],
    ['network list --output=j', ['--output=json']],
    ['reservation list --state ', ['reserved', 'quarantined']],
    ['host update h1 --managed=', ['--managed=true', '--managed=false']],
    ['completion ', [...SHELLS]],
    ['reservation import ', [':files']],
    ['reservation import --format ', ['csv', 'dnsmasq']],
  ])('what a flag or argument can be: %s', async (line, words) => {
    expect(await at(line)).toEqual(words);
  });

  test.each<[string, string[]]>([
    ['network get ', ['red']],
    ['subnet get ', ['red-a', 'b']],
    ['subnet get red', ['red-a']],
    ['subnet list --network ', ['red']],
    ['subnet list --network=r', ['--network=red']],
    ['host get ', ['h1']],
    ['fence h', ['h1']],
    ['reserve ', ['red-a', 'b']],
    ['release red-a ', ['10.0.0.7']],
    ['reservation get --subnet red-a --address ', ['10.0.0.7']],
    ['network get -- ', ['red']],
  ])('ids that the server knows: %s', async (line, words) => {
    await using server = await withServer(EVERYTHING);
    expect(await at(line, server.run)).toEqual(words);
  });

  test('ids with what they are', async () => {
    await using server = await withServer(EVERYTHING);
    expect((await server.run(['__complete', 'subnet', 'get', ''])).stdout).toBe('red-a\t10.0.0.0/24\nb\t10.0.1.0/24\n');
    expect((await server.run(['__complete', 'reserve', '--network', 'red', ''])).stdout).toContain('red-a');
    expect(server.requests('listSubnets').at(-1)).toMatchObject({ networkId: 'red' });
  });

  test('ids of the server that the line names', async () => {
    await using server = await withServer(EVERYTHING);
    const { stdout } = await server.run(['__complete', '--server', '127.0.0.1:1', 'network', 'get', '']);
    expect(stdout).toBe('');
    expect(server.calls()).toEqual([]);
  });

  test.each([
    'network create ',
    'network get red ',
    'reserve red-a ',
    'frobnicate ',
    'network list --sever ',
    'network list --timeout ',
    'release ',
    'network get ',
    '--server nowhere network get ',
    '--server 10.0.0.1:7067 network get ',
    'status -- ',
    'status -- -',
  ])('nothing, without a word on stderr, after %j and with no server', async (line) => {
    expect(await at(line)).toEqual([]);
  });
});

describe('the script', () => {
  test.each(SHELLS)('of %s asks for words, whatever the environment says', async (shell) => {
    const env = { LEASEHOLD_SERVER: '10.0.0.1:7067' };
    const { code, stdout, stderr } = await leasehold(`completion ${shell}`, env);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toContain('__complete');
  });

  test('of another shell is bad usage', async () => {
    const { code, stderr } = await leasehold('completion tcsh');
    expect(code).toBe(2);
    expect(stderr).toContain('SHELL: expected bash, zsh, fish, not "tcsh"');
  });
});
