// Another DHCP server on the host has port 67: the operator sees it, in the control plane and in the agent's log.

import { expect, test } from 'vitest';
import { bridgeOf, Cluster, servingHosts } from '../support/cluster.js';
import { eventually } from '../support/eventually.js';
import { WatchedProcess } from '../support/processes.js';

const HOLD_PORT_67 = `
const socket = require('node:dgram').createSocket('udp4');
socket.bind(67, () => console.log('bound'));
`;

test('a taken port is the reason of the network and a line of the agent; when it is free the network is served', async () => {
  await using cluster = await Cluster.start();
  const leasehold = cluster.client();
  const host = await cluster.host('h1', ['red']);
  await using other = new WatchedProcess(process.execPath, ['-e', HOLD_PORT_67], { namespace: host.namespace });
  await other.waitForLine('bound');
  await leasehold.networks.create({ networkId: 'red' });
  await leasehold.subnets.create({ subnetId: 'red-a', networkId: 'red', cidr: '10.2.0.0/24' });
  const reason = `UDP port 67 on ${bridgeOf('red')} is taken: another DHCP server runs on this host`;
  await eventually('the network is short of servers for the taken port', async () => {
    const { status } = await leasehold.networks.get('red');
    return status?.shortReason === `h1: ${reason}`;
  });
  const line = await host.agent.waitForLine('Not answering DHCP');
  expect(line.fields).toMatchObject({ level: 'warn', network: 'red', reason });
  expect(host.agent.lines.filter(({ text }) => text.includes('"Answering DHCP"'))).toEqual([]);
  await other.kill();
  await servingHosts(leasehold, 'red', 1);
  await host.agent.waitForLine('"Answering DHCP"');
});
