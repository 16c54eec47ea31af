# Stage 1 of a CD: the beginning of its boot image, without emulation ("El Torito"
# Bootable CD-ROM Format Specification 1.0).
#
# The BIOS loads the whole image to 0:7C00, as the catalog asks: this, stage 2 behind it
# and the boot table. So nothing is left to load but kernel and initramfs; stage 2 is
# verified and entered.
#
# Absent: BIOSes that load less than the catalog asks for. What they left out shows as
# a stage 2 that has changed.

        .include "begin.inc"

        .include "stage1.inc"
