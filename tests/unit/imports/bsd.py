"""Whole configurations of OPNsense and pfSense, short, with the tags that theirs have."""

from __future__ import annotations

OPN_MODEL = """<?xml version="1.0"?>
<opnsense>
  <theme>opnsense</theme>
  <trigger_initial_wizard/>
  <system>
    <optimization>normal</optimization>
    <hostname>gate</hostname>
    <gw_switch_default>1</gw_switch_default>
    <dns1host/>
  </system>
  <interfaces>
    <wan>
      <if>igb0</if><descr>FIBRE</descr><enable>1</enable>
      <ipaddr>203.0.113.2</ipaddr><subnet>29</subnet><gateway>FIBRE_GW</gateway>
      <ipaddrv6>2001:db8:1::2</ipaddrv6><subnetv6>64</subnetv6>
    </wan>
    <opt1><if>igb1</if><descr>CABLE</descr><enable>1</enable><ipaddr>dhcp</ipaddr></opt1>
    <opt2><if>ue0</if><descr>LTE</descr><enable>1</enable><ipaddr>dhcp</ipaddr></opt2>
    <lan>
      <if>igb2</if><descr>LAN</descr><enable>1</enable>
      <ipaddr>192.168.30.1</ipaddr><subnet>24</subnet><ipaddrv6>track6</ipaddrv6>
    </lan>
    <opt3><if>vlan0.20</if><descr>GUESTS</descr><enable>1</enable><ipaddr>10.20.0.1</ipaddr><subnet>22</subnet></opt3>
    <lo0><internal_dynamic>1</internal_dynamic><if>lo0</if><descr>Loopback</descr><enable>1</enable>
      <ipaddr>127.0.0.1</ipaddr><subnet>8</subnet><virtual>1</virtual></lo0>
  </interfaces>
  <nat><outbound><mode>automatic</mode></outbound></nat>
  <filter>
    <rule uuid="9c3b">
      <type>pass</type><interface>lan</interface><ipprotocol>inet</ipprotocol>
      <statetype>keep state</statetype><descr>legacy mail by cable</descr><direction>in</direction><quick>1</quick>
      <protocol>tcp</protocol><gateway>CABLE_GW</gateway>
      <source><network>lan</network></source><destination><any>1</any><port>587</port></destination>
    </rule>
  </filter>
  <OPNsense>
    <Gateways version="1.0.0" description="Gateways">
      <gateway_item uuid="11111111-0000-4000-8000-000000000001">
        <disabled>0</disabled><name>FIBRE_GW</name><descr>fibre</descr><interface>wan</interface>
        <ipprotocol>inet</ipprotocol><gateway>203.0.113.1</gateway><defaultgw>1</defaultgw><fargw>0</fargw>
        <monitor_disable>0</monitor_disable><monitor_noroute>0</monitor_noroute><monitor>9.9.9.9</monitor>
        <force_down>0</force_down><priority>10</priority><weight>3</weight>
        <latencylow/><latencyhigh/><losslow/><losshigh/><interval/><time_period/><loss_interval/><data_length/>
      </gateway_item>
      <gateway_item uuid="11111111-0000-4000-8000-000000000002">
        <disabled>0</disabled><name>FIBRE_V6</name><descr/><interface>wan</interface>
        <ipprotocol>inet6</ipprotocol><gateway>2001:db8:1::1</gateway><defaultgw>1</defaultgw><fargw>0</fargw>
        <monitor_disable>0</monitor_disable><monitor>2620:fe::fe</monitor><force_down>0</force_down>
        <priority>10</priority><weight>3</weight>
        <latencylow/><latencyhigh/><losslow/><losshigh/><interval/><time_period/><loss_interval/><data_length/>
      </gateway_item>
      <gateway_item uuid="11111111-0000-4000-8000-000000000003">
        <disabled>0</disabled><name>CABLE_GW</name><descr/><interface>opt1</interface>
        <ipprotocol>inet</ipprotocol><gateway/><defaultgw>1</defaultgw><fargw>1</fargw>
        <monitor_disable>0</monitor_disable><monitor>1.0.0.1</monitor><force_down>0</force_down>
        <priority>20</priority><weight>1</weight>
        <latencylow>150</latencylow><latencyhigh>400</latencyhigh><losslow/><losshigh>30</losshigh>
        <interval>2</interval><time_period>40</time_period><loss_interval>3</loss_interval><data_length/>
      </gateway_item>
    </Gateways>
    <Firewall>
      <Alias><aliases>
        <alias><enabled>1</enabled><name>servers</name><type>host</type><content>192.0.2.10
192.0.2.20-192.0.2.23</content></alias>
        <alias><enabled>1</enabled><name>talk</name><type>port</type><content>5060
10000:10100</content></alias>
        <alias><enabled>1</enabled><name>video</name><type>host</type><content>cdn.example.net</content></alias>
      </aliases></Alias>
      <Filter><rules>
        <rule uuid="a2">
          <enabled>1</enabled><sequence>20</sequence><action>pass</action><quick>1</quick><interfacenot>0</interfacenot>
          <interface>opt3</interface><direction>in</direction><ipprotocol>inet46</ipprotocol><protocol>any</protocol>
          <source_net>any</source_net><source_not>0</source_not><source_port/>
          <destination_net>any</destination_net><destination_not>0</destination_not><destination_port/>
          <gateway>POOL</gateway><description>guests share</description>
        </rule>
        <rule uuid="a1">
          <enabled>1</enabled><sequence>10</sequence><action>pass</action><quick>1</quick><interfacenot>0</interfacenot>
          <interface>lan</interface><direction>in</direction><ipprotocol>inet</ipprotocol><protocol>UDP</protocol>
          <source_net>192.168.30.128/25</source_net><source_not>0</source_not><source_port/>
          <destination_net>servers</destination_net><destination_not>0</destination_not>
          <destination_port>talk</destination_port>
          <gateway>BACKUP</gateway><description>talk</description>
        </rule>
        <rule uuid="a3">
          <enabled>0</enabled><sequence>5</sequence><action>pass</action><interface>lan</interface>
          <direction>in</direction><ipprotocol>inet</ipprotocol><protocol>any</protocol>
          <source_net>any</source_net><destination_net>any</destination_net><gateway>POOL</gateway>
        </rule>
      </rules></Filter>
    </Firewall>
  </OPNsense>
  <gateways>
    <gateway_group>
      <name>POOL</name><item>FIBRE_GW|1</item><item>CABLE_GW|1</item><item>OPT2_DHCP|2</item>
      <trigger>down</trigger><poolopts>round-robin sticky-address</poolopts><descr/>
    </gateway_group>
    <gateway_group>
      <name>BACKUP</name><item>CABLE_GW|1</item><item>FIBRE_GW|2</item><trigger>downlatency</trigger><descr/>
    </gateway_group>
  </gateways>
</opnsense>
"""

OPN_LEGACY = """<?xml version="1.0"?>
<opnsense>
  <system><hostname>old</hostname></system>
  <interfaces>
    <wan><if>em0</if><descr/><enable>1</enable><ipaddr>198.51.100.2</ipaddr><subnet>30</subnet></wan>
    <opt1><if>pppoe0</if><descr>DSL</descr><enable>1</enable><ipaddr>pppoe</ipaddr></opt1>
    <lan><if>em1</if><enable>1</enable><ipaddr>172.20.0.1</ipaddr><subnet>16</subnet></lan>
  </interfaces>
  <gateways>
    <gateway_item>
      <interface>wan</interface><gateway>198.51.100.1</gateway><name>WANGW</name><priority>255</priority>
      <weight>1</weight><ipprotocol>inet</ipprotocol><interval/><descr/><defaultgw>1</defaultgw>
    </gateway_item>
    <gateway_item>
      <interface>opt1</interface><gateway>dynamic</gateway><name>DSL_PPPOE</name><priority>255</priority>
      <weight>1</weight><ipprotocol>inet</ipprotocol><monitor_disable>1</monitor_disable>
    </gateway_item>
  </gateways>
  <filter>
    <rule>
      <type>pass</type><ipprotocol>inet</ipprotocol><descr>web by DSL</descr><interface>lan</interface>
      <protocol>tcp</protocol><source><network>lan</network></source>
      <destination><any/><port>80-443</port></destination><gateway>DSL_PPPOE</gateway>
    </rule>
    <rule>
      <type>pass</type><ipprotocol>inet</ipprotocol><descr>Default allow LAN to any rule</descr>
      <interface>lan</interface><source><network>lan</network></source><destination><any/></destination>
    </rule>
  </filter>
</opnsense>
"""

PF = """<?xml version="1.0"?>
<pfsense>
  <version>23.3</version>
  <system><hostname>pfSense</hostname><lb_use_sticky></lb_use_sticky><srctrack>0</srctrack></system>
  <interfaces>
    <wan><enable></enable><if>ix0</if><descr><![CDATA[WAN]]></descr><ipaddr>dhcp</ipaddr><ipaddrv6>dhcp6</ipaddrv6></wan>
    <opt1><enable></enable><if>ix1</if><descr><![CDATA[WAN2]]></descr><ipaddr>198.51.100.6</ipaddr>
      <subnet>30</subnet><gateway>WAN2GW</gateway></opt1>
    <lan><enable></enable><if>ix2</if><descr><![CDATA[LAN]]></descr><ipaddr>10.9.0.1</ipaddr><subnet>24</subnet></lan>
    <opt2><enable></enable><if>ix2.50</if><descr><![CDATA[DMZ]]></descr><ipaddr>10.9.50.1</ipaddr><subnet>24</subnet></opt2>
    <opt3><if>ix3</if><descr><![CDATA[SPARE]]></descr><ipaddr>dhcp</ipaddr></opt3>
  </interfaces>
  <gateways>
    <gateway_item>
      <interface>wan</interface><gateway>dynamic</gateway><name>WAN_DHCP</name><weight>2</weight>
      <ipprotocol>inet</ipprotocol><descr><![CDATA[Interface WAN_DHCP Gateway]]></descr><monitor>8.8.8.8</monitor>
      <gw_down_kill_states></gw_down_kill_states>
    </gateway_item>
    <gateway_item>
      <interface>opt1</interface><gateway>198.51.100.5</gateway><name>WAN2GW</name><weight>1</weight>
      <ipprotocol>inet</ipprotocol><descr></descr><monitor>1.1.1.1</monitor>
      <latencyhigh>700</latencyhigh><interval>1000</interval><loss_interval>4000</loss_interval>
      <time_period>30000</time_period><nonlocalgateway></nonlocalgateway>
    </gateway_item>
    <gateway_group>
      <name>FAILOVER</name><item>WAN_DHCP|1|address</item><item>WAN2GW|2|address</item>
      <trigger>downlosslatency</trigger><keep_failover_states></keep_failover_states><descr></descr>
    </gateway_group>
    <gateway_group>
      <name>BALANCE</name><item>WAN_DHCP|1|address</item><item>WAN2GW|1|address</item><trigger>down</trigger>
    </gateway_group>
    <defaultgw4>FAILOVER</defaultgw4><defaultgw6>-</defaultgw6>
  </gateways>
  <nat><outbound><mode>automatic</mode></outbound><separator></separator></nat>
  <filter>
    <rule>
      <id></id><tracker>1700000001</tracker><type>pass</type><interface>lan</interface><ipprotocol>inet</ipprotocol>
      <source><network>lan</network></source><destination><network>opt2</network></destination><descr>to the DMZ</descr>
    </rule>
    <rule>
      <id></id><type>pass</type><interface>lan</interface><ipprotocol>inet</ipprotocol><protocol>tcp</protocol>
      <source><address>10.9.0.40</address></source><destination><any></any><port>443</port></destination>
      <descr><![CDATA[one host as the default]]></descr>
    </rule>
    <rule>
      <id></id><type>pass</type><interface>lan</interface><ipprotocol>inet</ipprotocol><tag></tag><tagged></tagged>
      <source><network>lan</network></source><destination><any></any></destination>
      <descr><![CDATA[LAN shares]]></descr><gateway>BALANCE</gateway>
    </rule>
    <rule>
      <type>block</type><interface>opt2</interface><source><any></any></source><destination><any></any></destination>
    </rule>
    <rule>
      <type>pass</type><interface>opt2</interface><ipprotocol>inet</ipprotocol><protocol>icmp</protocol>
      <source><network>opt2</network></source><destination><address>MONITORED</address></destination>
      <gateway>WAN2GW</gateway><descr>pings</descr>
    </rule>
    <rule>
      <disabled></disabled><type>pass</type><interface>lan</interface><ipprotocol>inet</ipprotocol>
      <source><any></any></source><destination><any></any></destination><gateway>WAN2GW</gateway>
    </rule>
    <separator><lan></lan></separator>
  </filter>
  <aliases>
    <alias><name>MONITORED</name><type>network</type><address>192.0.2.0/25 203.0.113.9</address><descr></descr></alias>
  </aliases>
</pfsense>
"""
