// Where a claim about the API runs: a client of a server that others use, too, with names that nobody else has.

import { isDeepStrictEqual } from 'node:util';
import type { NewNetwork, NewSubnet, Page, SubnetUsage } from '@leasehold/sdk';
import { expect } from 'vitest';
import { eventually } from '../../support/eventually.js';
import type { Api, ApiFeatures, ApiPlace, PageOf, Refusal } from './api.js';

/** One claim about the API. */
export interface ApiCheck {
  readonly name: string;
  /** What a place must be able to do for it. */
  readonly needs?: keyof ApiFeatures;
  run(stage: ApiStage): Promise<void>;
}

let made = 0;

/** The stage of one check. */
export class ApiStage {
  readonly api: Api;
  readonly place: ApiPlace;

  constructor(api: Api, place: ApiPlace) {
    this.api = api;
    this.place = place;
  }

  /** A name that nobody has. */
  name(base: string): string {
    made++;
    return `${base}-${made}`;
  }

  /** A MAC that nobody has. */
  mac(): string {
    made++;
    return `52:54:00:${hex(made >> 16)}:${hex(made >> 8)}:${hex(made)}`;
  }

  /** A new network; its id. */
  async network(settings: NewNetwork = {}): Promise<string> {
    return (await this.api.createNetwork({ networkId: this.name('net'), ...settings })).networkId;
  }

  /** A new subnet, 10.0.0.0/24 unless told otherwise; its id. */
  async subnet(networkId: string, settings: Partial<NewSubnet> = {}): Promise<string> {
    const subnet = { networkId, subnetId: this.name('sub'), cidr: '10.0.0.0/24', ...settings };
    return (await this.api.createSubnet(subnet)).subnetId;
  }

  /** How a call was refused; one that was not is a failure. */
  async refused(call: Promise<unknown>): Promise<Refusal> {
    try {
      await call;
    } catch (error) {
      const refusal = error as Refusal;
      expect(refusal.reason, String(error)).toMatch(/^[A-Z_]+$/);
      expect(refusal.message.length).toBeGreaterThan(10);
      return refusal;
    }
    throw new Error('The call was not refused');
  }

  /** A call about this network is refused so, and changes nothing of it. */
  async expectRefused(networkId: string, call: () => Promise<unknown>, expected: object): Promise<void> {
    const before = await this.#everything(networkId);
    expect(await this.refused(call())).toMatchObject(expected);
    expect(await this.#everything(networkId)).toEqual(before);
  }

  /** A subnet counts so, as soon as the server's memory followed the store. */
  async expectUsage(subnetId: string, expected: Partial<SubnetUsage>): Promise<void> {
    await eventually(`${subnetId} counts ${JSON.stringify(expected)}`, async () => {
      const { usage } = await this.api.getSubnet(subnetId);
      return isDeepStrictEqual({ ...usage, ...expected }, { ...usage });
    });
  }

  async #everything(networkId: string) {
    const { status: _, ...network } = await this.api.getNetwork(networkId);
    const { items: subnets } = await this.api.listSubnets({ networkId });
    const { items: reservations } = await this.api.listReservations({ networkId });
    return {
      network,
      // Counters follow the store, and estimates of reuse move.
      subnets: subnets.map(({ usage: __, ...settings }) => settings),
      reservations: reservations.map(({ reusableTime: __, ...rest }) => rest),
    };
  }
}

/** Every item of a list, in pages of this size. */
export async function allOf<T>(list: (page: PageOf) => Promise<Page<T>>, pageSize = 0): Promise<readonly T[]> {
  const items: T[] = [];
  let pageToken = '';
  do {
    const page = await list({ pageSize, pageToken });
    items.push(...page.items);
    pageToken = page.nextPageToken;
  } while (pageToken !== '');
  return items;
}

/** What a refusal of one field looks like. */
export function invalid(field: string, description: RegExp = /./): object {
  const violation = { field, description: expect.stringMatching(description) as string };
  return { code: 'INVALID_ARGUMENT', reason: 'INVALID_FIELD', fieldViolations: [violation] };
}

function hex(n: number): string {
  return (n & 0xff).toString(16).padStart(2, '0');
}
