# Copies memory anywhere below 4 GiB and counts its checksum on the way.
#
# The checksum is two sums modulo 2^32 over little-endian 32-bit words w:
# a += w; b += a, from a = 1 and b = 0. Any change of one word changes a, and two
# words that change places change b. It is cheap enough to be counted of every byte
# that is loaded, also where a processor is emulated; it is no defence against
# somebody who wants to deceive it.
#
# The loop runs in 32-bit protected mode with flat segments, interrupts off; the
# caller stays in real mode. No memory is touched there but source, destination and sums,
# and no stack.

        .include "layout.inc"
        .code16
        .text

        .set    CODE32, 0x08
        .set    DATA32, 0x10
        .set    CODE16, 0x18
        .set    DATA16, 0x20

# Begins a checksum.
        .globl  checksum_begin
checksum_begin:
        movl    $1, checksum
        movl    $0, checksum + 4
        ret

# Whether the checksum is the one at SI. Out: ZF set if it is. Changes EAX.
        .globl  checksum_matches
checksum_matches:
        movl    checksum, %eax
        cmpl    (%si), %eax
        jne     1f
        movl    checksum + 4, %eax
        cmpl    4(%si), %eax
1:      ret

# Copies and counts. In: ESI = source, EDI = destination (linear addresses), ECX =
# words of 4 bytes. Where the two overlap, the destination must be the lower one.
# Out: ESI, EDI = behind the last word. Changes EAX, EBX, ECX, EDX.
        .globl  copy
copy:
        cli
        lgdtl   descriptors_pointer
        movl    %cr0, %eax
        orb     $1, %al
        movl    %eax, %cr0
        ljmp    $CODE32, $1f
        .code32
1:      movw    $DATA32, %ax
        movw    %ax, %ds
        movw    %ax, %es
        movl    checksum, %eax
        movl    checksum + 4, %edx
        jecxz   3f
2:      movl    (%esi), %ebx
        movl    %ebx, (%edi)
        addl    %ebx, %eax
        addl    %eax, %edx
        addl    $4, %esi
        addl    $4, %edi
        decl    %ecx
        jnz     2b
3:      movl    %eax, checksum
        movl    %edx, checksum + 4
        ljmp    $CODE16, $4f
        .code16
# Segments with real mode's limit again, before it is entered.
4:      movw    $DATA16, %ax
        movw    %ax, %ds
        movw    %ax, %es
        movl    %cr0, %eax
        andb    $0xFE, %al
        movl    %eax, %cr0
        ljmp    $0, $5f
5:      xorw    %ax, %ax
        movw    %ax, %ds
        movw    %ax, %es
        sti
        ret

        .data
        .balign 8
descriptors:
        .quad   0
        .quad   0x00CF9A000000FFFF      # CODE32: base 0, 4 GiB, execute and read
        .quad   0x00CF92000000FFFF      # DATA32: base 0, 4 GiB, read and write
        .quad   0x00009A000000FFFF      # CODE16: base 0, 64 KiB, 16-bit
        .quad   0x000092000000FFFF      # DATA16: base 0, 64 KiB
descriptors_pointer:
        .word   . - descriptors - 1
        .long   descriptors
        .balign 4
checksum:
        .long   0, 0
