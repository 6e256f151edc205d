import { describe, expect, test } from 'vitest';
import { EVERYTHING, leasehold, withServer } from '../test-support/cli.js';
import { wireHost, wireNetwork } from '../test-support/samples.js';
import { type Handlers, refuse } from '../test-support/scripted-server.js';
import type { WatchEvent } from '../watch.js';
import { COMMANDS } from './commands.js';

/** Answers another host each time. */
const CHANGING: Handlers = {
  ...EVERYTHING,
  listHosts: (_, attempt) => ({ hosts: [{ ...wireHost, hostId: `h${attempt}` }] }),
  getNetwork: (_, attempt) =>
    attempt < 3
      ? { network: { ...wireNetwork, displayName: `Red ${attempt}` } }
      : refuse('NOT_FOUND', { reason: 'NETWORK_NOT_FOUND', message: 'There is no network red' }),
};

describe('what makes a command look again', () => {
  const reservation = (subnetId: string, owner: string, change = 'created') =>
    ({ kind: 'reservation', change, reservation: { subnetId, owner } }) as WatchEvent;
  const subnet = { kind: 'subnet', subnet: { subnetId: 'red-a' } } as WatchEvent;
  const host = { kind: 'host', host: { hostId: 'h1' } } as WatchEvent;
  const placement = { kind: 'placement' } as WatchEvent;
  const network = { kind: 'network' } as WatchEvent;
  const here = reservation('red-a', 'x');

  test.each<[string, object, object, readonly WatchEvent[], readonly WatchEvent[]]>([
    ['network list', {}, {}, [network, subnet, placement], [here, host]],
    ['network get', { network: 'red' }, {}, [network, subnet, placement], [here]],
    ['subnet list', {}, {}, [subnet, here], [network, host]],
    ['subnet get', { subnet: 'red-a' }, {}, [subnet, here], [reservation('b', 'x'), network]],
    ['host list', {}, {}, [host], [placement]],
    ['host get', { host: 'h1' }, {}, [host], [{ kind: 'host', host: { hostId: 'h2' } } as WatchEvent]],
    ['placement list', {}, {}, [placement], [host, here]],
    ['reservation get', {}, { network: 'red' }, [here], [subnet]],
    ['reservation list', {}, { subnet: 'red-a' }, [here], [reservation('b', 'x'), subnet]],
    ['reservation list', {}, { owner: 'x' }, [here, reservation('b', 'y', 'updated')], [reservation('b', 'y')]],
  ])('%s %j %j', (path, args, flags, concerned, others) => {
    const found = COMMANDS.find((one) => one.path.join(' ') === path);
    const watched = found?.kind === 'online' ? found.watched?.({ ...args }, flags) : undefined;
    expect(concerned.map((event) => watched?.concerns(event))).toEqual(concerned.map(() => true));
    expect(others.map((event) => watched?.concerns(event))).toEqual(others.map(() => false));
  });

  test('each get and list has it', () => {
    const shown = COMMANDS.filter(({ path: [, verb] }) => verb === 'get' || verb === 'list');
    expect(shown.filter((one) => one.kind !== 'online' || !one.watched)).toEqual([]);
  });
});

describe('--watch', () => {
  test('in a pipe is one table after another, each with its time, until Ctrl-C, which is exit 0', async () => {
    await using server = await withServer(CHANGING);
    const { code, stdout, stderr } = await server.run('host list --watch', {}, 7);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(
      /^\d{4}-\d\d-\d\dT[\d:]+Z\nHOST .*\nh1 .*\n\n\d{4}-\d\d-\d\dT[\d:]+Z\nHOST .*\nh2 .*\n(\n|$)/,
    );
  });

  test('does not print what did not change', async () => {
    const handlers: Handlers = {
      ...EVERYTHING,
      listHosts: (_, attempt) => ({ hosts: [{ ...wireHost, hostId: attempt < 4 ? 'same' : 'other' }] }),
    };
    await using server = await withServer(handlers);
    const { stdout } = await server.run('host list --watch', {}, 6);
    expect(stdout.match(/^same/gm)).toHaveLength(1);
    expect(stdout.match(/^other/gm)).toHaveLength(1);
  });

  test('as JSON is a document a line, as YAML a document', async () => {
    await using server = await withServer(CHANGING);
    const asJson = await server.run('host list --watch -o json', {}, 2);
    const [first, second] = asJson.stdout.split('\n').map((line) => (line ? (JSON.parse(line) as unknown) : line));
    expect([first, second]).toMatchObject([[{ host_id: 'h1' }], [{ host_id: 'h2' }]]);
    const asYaml = await server.run('host list --watch -o yaml', {}, 50);
    expect(asYaml.stdout.match(/^---\n- host_id: h\d+$/gm)?.length).toBeGreaterThan(1);
  });

  test('on a terminal redraws another screen, as high as the terminal, and leaves what was seen last', async () => {
    const handlers: Handlers = {
      ...CHANGING,
      listHosts: (_, attempt) => ({
        hosts: Array.from({ length: 30 }, (__, index) => ({ ...wireHost, hostId: `h${attempt}-${index}` })),
      }),
    };
    await using server = await withServer(handlers);
    const { code, stdout } = await server.runAtTerminal('host list --watch', { NO_COLOR: '1' }, 10);
    expect(code).toBe(0);
    expect(stdout.startsWith('\u001b[?1049h')).toBe(true);
    const [frame = ''] = stdout.split('\u001b[J');
    expect(frame.split('\r\n')).toHaveLength(10);
    expect(frame).toContain('leasehold host list  20');
    expect(frame).toContain('and 24 more lines');
    const after = stdout.slice(stdout.indexOf('\u001b[?1049l') + '\u001b[?1049l'.length);
    expect(after).toMatch(/^HOST .*\nh\d+-0 /);
    expect(after.split('\n')).toHaveLength(32);
  });

  test('ends with what it is refused, as when it is deleted, and leaves the terminal as it was', async () => {
    await using server = await withServer(CHANGING);
    const { code, stdout, stderr } = await server.runAtTerminal('network get red --watch', {}, 1_000);
    expect({ code, stderr: stderr.split('\n')[0] }).toEqual({
      code: 1,
      stderr: 'leasehold: There is no network red (NETWORK_NOT_FOUND)',
    });
    expect(stdout).toContain('\u001b[?1049l');
    const refused = await server.runAtTerminal('network get red --watch');
    expect(refused.stdout).toBe('');
  });

  test('reaching nobody is exit 3', async () => {
    expect((await leasehold('host list --watch --server 127.0.0.1:1')).code).toBe(3);
  });

  test('is no flag of what changes something', async () => {
    expect((await leasehold('network delete red --watch')).code).toBe(2);
    expect((await leasehold('status --watch')).code).toBe(2);
  });
});
