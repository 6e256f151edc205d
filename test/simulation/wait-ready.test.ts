// ReserveAddress with wait_ready: what is waited for, and what is answered afterwards.

import { Metadata, type ServerUnaryCall } from '@grpc/grpc-js';
import { ReserveAddressRequest, type ReserveAddressResponse } from '@leasehold/proto/ipam/v1/ipam_service';
import { ReservationState } from '@leasehold/proto/ipam/v1/reservation';
import { HolderCalls } from '@leasehold/server/transport/holder-calls';
import { ipamHandlers } from '@leasehold/server/transport/ipam-service';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { accepted, Installation } from './installation.js';

const MAC = '52:54:00:00:00:01';
const ADDRESS = '10.0.0.3';
const WAIT_S = 30;

let installation: Installation;

beforeEach(async () => {
  installation = await Installation.start({ h1: ['red'] });
  await installation.createNetwork('red');
  await installation.createSubnet('red', 'red-a', '10.0.0.0/29');
});

afterEach(async () => {
  await installation.stop();
});

/** Reserves with the same request each time, and waits for one server; the answer when it is there. */
function reserve(): { readonly answer: () => ReserveAddressResponse | undefined } {
  const { clock, log, plane } = installation;
  const request = ReserveAddressRequest.fromPartial({
    subnetId: 'red-a',
    mac: MAC,
    address: ADDRESS,
    requestId: 'start-vm-1',
    waitReady: { servers: 1, timeout: { seconds: BigInt(WAIT_S) } },
  });
  const metadata = new Metadata();
  const call = {
    request,
    metadata,
    getAuthContext: () => ({}),
    cancelled: false,
    on: () => undefined,
    getPath: () => 'ReserveAddress',
  };
  let answer: ReserveAddressResponse | undefined;
  ipamHandlers(log, plane.useCases, new HolderCalls(plane.lease, 'server-1', clock)).reserveAddress(
    call as unknown as ServerUnaryCall<ReserveAddressRequest, ReserveAddressResponse>,
    (error, response) => {
      if (error) throw new Error(String(error.details));
      answer = response ?? undefined;
    },
  );
  return { answer: () => answer };
}

async function release(): Promise<void> {
  accepted(await installation.tryRelease('red-a', ADDRESS, { guestStopped: true }));
}

describe('wait_ready', () => {
  test('answers with the servers that confirmed', async () => {
    const { answer } = reserve();
    await installation.advance(1_000);
    expect(answer()).toMatchObject({ ready: true, readyServers: 1, reservation: { readyServers: 1 } });
  });

  test('of a replay that is QUARANTINED does not wait', async () => {
    reserve();
    await installation.advance(1_000);
    await release();
    const { answer } = reserve();
    await installation.advance(0);
    const reservation = { state: ReservationState.QUARANTINED, readyServers: 0 };
    expect(answer()).toMatchObject({ created: false, ready: false, readyServers: 0, reservation });
  });

  test('of a replay that is ENDED does not wait', async () => {
    reserve();
    await installation.advance(1_000);
    await release();
    await installation.advance(2 * 3_600_000);
    const { answer } = reserve();
    await installation.advance(0);
    const reservation = { state: ReservationState.ENDED, readyServers: 0 };
    expect(answer()).toMatchObject({ created: false, ready: false, readyServers: 0, reservation });
  });

  test('shows a reservation that was released meanwhile as it is afterwards', async () => {
    installation.host('h1').wire.cut();
    const { answer } = reserve();
    await installation.advance(1_000);
    expect(answer()).toBeUndefined();
    await release();
    await installation.advance(WAIT_S * 1_000);
    const reservation = { state: ReservationState.QUARANTINED, readyServers: 0 };
    expect(answer()).toMatchObject({ created: true, ready: false, readyServers: 0, reservation });
  });
});
