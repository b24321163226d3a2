// SPDX-License-Identifier: BSD-2-Clause
/*
 * vlantags.c: tags for the frames of an interface, for tc (clang -target bpf): VLANs also where the
 * kernel has no VLAN devices. What is pushed lies beside the frame as a VLAN device has it.
 */
#define SEC(name) __attribute__((section(name), used))
#define BE16(v)   ((unsigned short)((v) << 8 | (v) >> 8))

enum { Q = 0x8100, AD = 0x88a8, ACT_OK = 0 };

struct __sk_buff;
static long (*const vlan_push)(struct __sk_buff *skb, unsigned short proto,
                               unsigned short tci) = (void *)18;
static long (*const vlan_pop)(struct __sk_buff *skb) = (void *)19;

SEC("q")
int push_q(struct __sk_buff *skb)
{
    vlan_push(skb, BE16(Q), 0x6005); /* priority 3 */
    return ACT_OK;
}

SEC("ad")
int push_ad(struct __sk_buff *skb)
{
    vlan_push(skb, BE16(AD), 6);
    return ACT_OK;
}

SEC("adq")
int push_adq(struct __sk_buff *skb)
{
    vlan_push(skb, BE16(Q), 7);
    vlan_push(skb, BE16(AD), 6);
    return ACT_OK;
}

/* None is left: one that has none stays as it is. */
SEC("pop")
int pop_all(struct __sk_buff *skb)
{
    vlan_pop(skb);
    vlan_pop(skb);
    return ACT_OK;
}
