// A scrape over real HTTP.

import { mkdtempSync, rmSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Endpoint } from '@leasehold/program/option-values';
import { afterEach, describe, expect, test } from 'vitest';
import { METRICS } from '../ports/metrics.js';
import { listenForScrapes, type MetricsListener } from './metrics-listener.js';
import { Prometheus } from './prometheus.js';

const ANY: Endpoint = { kind: 'tcp', host: '127.0.0.1', port: 0 };
const listeners: MetricsListener[] = [];

afterEach(async () => {
  for (const listener of listeners.splice(0)) await listener.close();
});

async function listening(endpoint: Endpoint, prometheus = new Prometheus()): Promise<MetricsListener> {
  const listener = await listenForScrapes(endpoint, prometheus);
  listeners.push(listener);
  return listener;
}

function get({ endpoint }: MetricsListener, path: string, method = 'GET'): Promise<{ status: number; text: string }> {
  const where = endpoint.kind === 'unix' ? { socketPath: endpoint.path } : { host: endpoint.host, port: endpoint.port };
  return new Promise((resolve, reject) => {
    const sent = request({ ...where, path, method }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
      });
      response.on('end', () => resolve({ status: response.statusCode ?? 0, text }));
    });
    sent.on('error', reject).end();
  });
}

describe('a scrape', () => {
  test('shows every metric with its help, and what was counted', async () => {
    const prometheus = new Prometheus();
    prometheus.metrics.count('reserves', { outcome: 'created' }, 3);
    prometheus.metrics.observe('storeBatch', 7, { operation: 'insert' });
    const { status, text } = await get(await listening(ANY, prometheus), '/metrics');
    expect(status).toBe(200);
    for (const { name, help } of Object.values(METRICS)) expect(text).toContain(`# HELP ${name} ${help}`);
    expect(text).toContain('leasehold_reserves_total{outcome="created"} 3');
    expect(text).toContain('leasehold_store_batch_size_sum{operation="insert"} 7');
    expect(text).toContain('process_resident_memory_bytes');
  });

  test('works over a unix socket', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'leasehold-metrics-'));
    try {
      const listener = await listening({ kind: 'unix', path: join(directory, 'metrics.sock') });
      expect((await get(listener, '/metrics')).status).toBe(200);
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  });

  test.each([
    ['GET', '/'],
    ['POST', '/metrics'],
  ])('%s %s is told where metrics are', async (method, path) => {
    const { status, text } = await get(await listening(ANY), path, method);
    expect([status, text]).toEqual([404, 'Metrics are at GET /metrics\n']);
  });
});

test('a port that is taken is told in one line', async () => {
  const { endpoint } = await listening(ANY);
  await expect(listening(endpoint)).rejects.toThrow(/^cannot listen on 127\.0\.0\.1:\d+: it is in use/);
});
