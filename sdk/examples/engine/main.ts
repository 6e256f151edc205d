// A day of the engine, told line by line: `node sdk/examples/dist/engine/main.js NETWORK-ID OTHER-NETWORK-ID`, with the server in
// LEASEHOLD_SERVER. Both networks must exist, with a subnet and a host each.

import { connect } from '@leasehold/sdk';
import { Engine, type Hypervisor } from './engine.js';

const hypervisor: Hypervisor = {
  run: async ({ name }, host) => console.log(`${name} runs on ${host}`),
  move: async ({ name }, host) => console.log(`${name} moved to ${host}`),
  end: async ({ name }) => console.log(`${name} is gone`),
};

const [networkId = 'red', otherId = 'blue'] = process.argv.slice(2);
const leasehold = connect();
try {
  const engine = new Engine(leasehold, hypervisor);
  const nic = { mac: '52:54:00:00:00:01', networkId };
  const vm = { name: 'vm-1', nics: [nic] };

  const [first] = await engine.start(vm, 'host-a');
  console.log(`${vm.name} has ${first?.address} in ${networkId}`);

  await engine.migrate(vm, 'host-b');
  const kept = await leasehold.reservations.get({ networkId, mac: nic.mac });
  console.log(`${vm.name} still has ${kept.address}`);

  const relinked = await engine.relink(vm, nic, otherId);
  const other = await leasehold.reservations.get({ networkId: otherId, mac: nic.mac });
  console.log(`${vm.name} has ${other.address} in ${otherId}`);

  await engine.stop(relinked);
  for await (const { address, state, owner } of leasehold.reservations.history({ mac: nic.mac })) {
    console.log(`${address} of ${owner} is ${state}`);
  }
} finally {
  await leasehold.close();
}
