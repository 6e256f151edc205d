// Metrics and their page in docs/ agree, and gauges show what the use cases say.

import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { Prometheus } from './prometheus.js';

const PAGE = readFileSync(new URL('../../../docs/operations.md', import.meta.url), 'utf8');

/** A control plane of which nothing but this is asked. */
const APP = {
  status: {
    get: () => ({
      version: '1.2.3',
      server: 's1',
      store: { kind: 'memory', uid: 'u', incarnation: 2 },
      brakes: [{ kind: 'START' }],
    }),
  },
  context: {
    store: { health: { unavailableSince: undefined } },
    lease: { isSelf: true, epoch: 1, holder: { server: 's1' } },
    view: {
      hosts: new Map([['h1', {}]]),
      networks: new Map([['red', { networkId: 'red', subnets: [{ subnetId: 'red-a' }] }]]),
      occupancy: () => ({ usageOf: () => ({ capacity: 254, reserved: 3, quarantined: 1, free: 250 }) }),
    },
  },
  events: { count: 4 },
  hostLiveness: () => 'up',
  hostBreaker: () => 'half-open',
  countForeignServers: () => new Map([['red', 1]]),
  hostStatus: () => {
    throw new Error('What a host has is not for counting: all of them may have a million networks');
  },
  networkStatus: () => ({ serversWanted: 2, serversServing: 1 }),
};

async function scrape(app: object): Promise<string> {
  const prometheus = new Prometheus();
  prometheus.show(app as never);
  prometheus.showTls({ current: { notAfterMs: 1_900_000_000_000 } }, [{ handshakes: 2 }, { handshakes: 1 }]);
  return prometheus.scrape();
}

describe('a scrape', () => {
  test('shows how the installation is', async () => {
    const lines = (await scrape(APP)).split('\n').filter((line) => line.startsWith('leasehold_'));
    expect(lines).toEqual(
      expect.arrayContaining([
        'leasehold_info{version="1.2.3",server="s1",store="memory",store_uid="u",incarnation="2"} 1',
        'leasehold_store_available 1',
        'leasehold_leads 1',
        'leasehold_tls_certificate_end_seconds 1900000000',
        'leasehold_tls_handshakes 3',
        'leasehold_holder_known 1',
        'leasehold_brake{kind="START"} 1',
        'leasehold_watches 4',
        'leasehold_hosts{liveness="up"} 1',
        'leasehold_hosts{liveness="down"} 0',
        'leasehold_host_breakers{state="half-open"} 1',
        'leasehold_host_breakers{state="closed"} 0',
        'leasehold_network_servers{network_id="red",state="wanted"} 2',
        'leasehold_network_servers{network_id="red",state="serving"} 1',
        'leasehold_foreign_dhcp_servers{network_id="red"} 1',
        'leasehold_subnet_addresses{network_id="red",subnet_id="red-a",state="free"} 250',
      ]),
    );
  });

  test('shows nothing of hosts and servers where this one does not lead', async () => {
    const context = { ...APP.context, lease: { isSelf: false, holder: undefined } };
    const follower = { ...APP, context, countForeignServers: () => new Map() };
    const text = await scrape(follower);
    expect(text).toContain('leasehold_leads 0');
    expect(text).not.toMatch(/^leasehold_(hosts|host_breakers|network_servers|foreign_dhcp_servers)\{/m);
  });

  test('holds exactly the metrics that the page for operators explains', async () => {
    const shown = [...(await scrape(APP)).matchAll(/^# TYPE (leasehold_\w+)/gm)].map(([, name]) => name);
    const explained = [...PAGE.matchAll(/^\| (`leasehold_.+?) \|/gm)].flatMap(([, cell = '']) =>
      [...cell.matchAll(/`(leasehold_\w+)`/g)].map(([, name]) => name),
    );
    expect(new Set(explained)).toEqual(new Set(shown));
  });
});
