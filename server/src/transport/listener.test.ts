// A listener with real connections: what a refusal must not do to the connection it is sent on.

import { credentials, Metadata, type ServiceError, status } from '@grpc/grpc-js';
import {
  CreateSubnetRequest,
  type GetNetworkRequest,
  IpamServiceClient,
  IpamServiceService,
} from '@leasehold/proto/ipam/v1/ipam_service';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { MemoryLog } from '../../../test/fakes/memory-log.js';
import { networkNotFound } from '../domain/errors.js';
import { fromCreateSubnet } from './convert/subnet.js';
import { orThrow } from './errors.js';
import { ENGINE_LIMITS, type Listener, listen } from './listener.js';
import { readDescriptors } from './reflection.js';
import { unary } from './unary.js';

let listener: Listener;
let client: IpamServiceClient;

beforeEach(async () => {
  const log = new MemoryLog();
  // Two calls are enough: one is refused for its fields, the other for what it names.
  const handlers = {
    createSubnet: unary(log, (request: CreateSubnetRequest) => {
      orThrow(fromCreateSubnet(request));
      return {};
    }),
    getNetwork: unary(log, ({ networkId }: GetNetworkRequest) => orThrow(networkNotFound(networkId))),
  };
  const service = { name: 'ipam.v1.IpamService', definition: IpamServiceService, handlers };
  const anyPort = { kind: 'tcp', host: '127.0.0.1', port: 0 } as const;
  listener = await listen([anyPort], service, ENGINE_LIMITS, readDescriptors());
  const [endpoint] = listener.endpoints;
  if (endpoint?.kind !== 'tcp') throw new Error('Not listening');
  client = new IpamServiceClient(`127.0.0.1:${endpoint.port}`, credentials.createInsecure());
});

afterEach(async () => {
  client.close();
  await listener.drain(0);
});

// Bounds what hangs; nothing that is tested takes a part of it.
const soon = () => ({ deadline: Date.now() + 20_000 });

function createSubnet(ranges: number): Promise<ServiceError | null> {
  const excludedRanges = Array.from({ length: ranges }, (_, i) => ({
    first: `300.1.1.${i}`,
    last: `not an address ${i}`,
  }));
  const request = CreateSubnetRequest.fromPartial({
    subnet: { networkId: 'red', cidr: '10.0.0.0/24', excludedRanges },
  });
  return new Promise((resolve) => client.createSubnet(request, new Metadata(), soon(), resolve));
}

function getNetwork(networkId: string): Promise<ServiceError | null> {
  return new Promise((resolve) => client.getNetwork({ networkId }, new Metadata(), soon(), resolve));
}

describe('a request that is wrong in hundreds of places', () => {
  test.each([21, 200, 256])('is refused, and the connection goes on: %i ranges', async (ranges) => {
    const refused = await createSubnet(ranges);
    expect(refused?.code).toBe(status.INVALID_ARGUMENT);
    expect(refused?.details).toMatch(/and \d+ more/);
    expect((await getNetwork('red'))?.code).toBe(status.NOT_FOUND);
  });
});

describe('a refusal', () => {
  test('of an id that cannot be, however long, leaves the connection as it is', async () => {
    expect((await getNetwork('x'.repeat(500_000)))?.code).toBe(status.NOT_FOUND);
    expect((await getNetwork('red'))?.details).toBe('There is no network red');
  });
});
