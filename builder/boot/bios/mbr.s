# Stage 1: the boot code in the protective MBR of a disk.
#
# The BIOS loads the disk's first sector to 0:7C00 and jumps there with the
# drive's number in DL. This loads stage 2 and the boot table behind it in one
# read, verifies stage 2 and jumps to it. On failure it prints a line on the screen
# and on the first serial port and halts.
#
# It is 440 bytes long; what follows in the sector is the disk signature and the
# partition entries, which are not touched.
#
# Absent: CHS addressing, and any use of the partition entries.

        .include "begin.inc"

# INT 13h extensions, version 1.x or later, with access by packet (EDD, AH=41h).
        movb    $0x41, %ah
        movw    $0x55AA, %bx
        int     $0x13
        movw    $no_extensions, %si
        jc      fail
        cmpw    $0xAA55, %bx
        jne     fail
        testb   $1, %cl
        jz      fail

# Stage 2 and the table, in one read; the disk is reset before it is tried again.
        movb    $READ_TRIES, %bh
2:      movw    packet_sectors, %cx     # a BIOS may overwrite it when it fails
        movb    drive, %dl
        movw    $packet, %si
        movb    $0x42, %ah
        int     $0x13
        jnc     verify
        movb    %ah, %bl
        movw    %cx, packet_sectors
        xorb    %ah, %ah
        movb    drive, %dl
        int     $0x13
        decb    %bh
        jnz     2b
# Falls through: the status, in BL, goes into the message as two hexadecimal digits.
        movw    $status, %di
        movb    %bl, %al
        shrb    $4, %al
        call    digit
        movb    %bl, %al
        andb    $15, %al
        call    digit
        movw    $cannot_read, %si
        jmp     fail
digit:  cmpb    $10, %al
        sbbb    $0x69, %al              # with DAS: 0 to 15 become "0" to "F"
        das
        stosb
        ret

no_extensions:  .asciz  "the BIOS has no INT 13h extensions\r\n"
cannot_read:    .ascii  "stage 2 cannot be read: BIOS status "
status:         .asciz  "00h\r\n"

        .include "stage1.inc"
