# Stage 1 of a CD: the beginning of its boot image, without emulation ("El Torito"
# Bootable CD-ROM Format Specification 1.0).
#
# The BIOS loads the whole image to 0:7C00, as the catalog asks: this, stage 2 behind it
# and the boot table. So nothing is left to load but kernel and initramfs; stage 2 is
# verified and entered.
#
# Absent: BIOSes that load less than the catalog asks for. What they left out shows as
# a stage 2 that has changed.

        .include "layout.inc"
        .code16
        .text
        .globl  start
start:
        cli
        xorw    %ax, %ax
        movw    %ax, %ds
        movw    %ax, %es
        movw    %ax, %ss
        movw    $STACK_TOP, %sp
        sti
        cld
        ljmp    $0, $1f                 # some BIOSes come by way of 07C0:0000
1:      movb    %dl, drive

        .include "stage1.inc"
