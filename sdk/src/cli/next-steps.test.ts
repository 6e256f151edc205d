import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { withServer } from '../test-support/cli.js';
import { refuse } from '../test-support/scripted-server.js';
import { isConsidered } from './next-steps.js';

describe('what to do next', () => {
  test('is thought of for every reason that docs/errors.md has of IpamService', () => {
    const page = readFileSync(new URL('../../../docs/errors.md', import.meta.url), 'utf8');
    const rows = [...page.matchAll(/^\| `([A-Z_]+)` \|(.*)$/gm)].filter(
      ([, , row]) => !row?.includes('HostAgentService only'),
    );
    expect(rows.length).toBeGreaterThan(20);
    expect(rows.map(([, reason = '']) => reason).filter((reason) => !isConsidered(reason))).toEqual([]);
  });

  test('stands under the error, with what it is about, and in its JSON', async () => {
    const details = {
      reason: 'IPAM_DISABLED',
      message: 'IPAM is disabled on network red',
      metadata: { network_id: 'red' },
    };
    await using server = await withServer({ reserveAddress: () => refuse('FAILED_PRECONDITION', details) });
    const { code, stderr } = await server.run('reserve red-a 52:54:00:aa:bb:cc');
    expect(code).toBe(1);
    expect(stderr).toBe(
      'leasehold: IPAM is disabled on network red (IPAM_DISABLED)\n  → leasehold network update red --ipam-enabled\n',
    );
    const asJson = JSON.parse((await server.run('reserve red-a 52:54:00:aa:bb:cc -o json')).stderr) as object;
    expect(asJson).toMatchObject({ error: { next: 'leasehold network update red --ipam-enabled' } });
  });
});
