# Stage 1: the boot code in the protective MBR of a disk.
#
# The BIOS loads the disk's first sector to 0:7C00 and jumps there with the
# drive's number in DL. This loads stage 2 and the boot table behind it in one
# read, verifies stage 2 and jumps to it. On failure it prints a line on the screen
# and on the first serial port and halts.
#
# It is 440 bytes long; what follows in the sector is the disk signature and the
# partition entries, which are not touched. The builder fills in the fields at the end.
#
# Absent: CHS addressing, and any use of the partition entries.

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
        jnc     3f
        movb    %ah, %bl
        movw    %cx, packet_sectors
        xorb    %ah, %ah
        movb    drive, %dl
        int     $0x13
        decb    %bh
        jnz     2b
        jmp     read_failed

# The checksum of stage 2 alone: the table carries its own.
3:      movw    stage2_sectors, %cx
        shlw    $SECTOR_SHIFT - 2, %cx
        movw    $STAGE2, %si
        movl    $1, %ebx                # the first sum
        xorl    %edx, %edx              # the second
4:      lodsl
        addl    %eax, %ebx
        addl    %ebx, %edx
        loop    4b
        movw    $stage2_changed, %si
        cmpl    %ebx, checksum
        jne     fail
        cmpl    %edx, checksum + 4
        jne     fail
        movb    drive, %dl
        ljmp    $0, $STAGE2

# Writes the status in BL into its message, as two hexadecimal digits.
read_failed:
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

# Prints "keelson: " and the text at SI on the serial port and then on the screen, which
# the firmware may copy to the port when it finds the time; then halts.
fail:
# 115,200 bits per second, 8 data bits, no parity; DTR and RTS set.
        movw    $0x3FB, %dx
        movb    $0x80, %al              # the divisor's turn
        outb    %al, %dx
        movb    $0x3F8 & 0xFF, %dl
        movb    $1, %al
        outb    %al, %dx
        incw    %dx
        decw    %ax
        outb    %al, %dx
        movb    $0x3FB & 0xFF, %dl
        movb    $3, %al
        outb    %al, %dx
        incw    %dx
        outb    %al, %dx
        pushw   %si
        movw    $prefix, %si
        call    to_serial
        popw    %si
        pushw   %si
        call    to_serial
        movw    $prefix, %si
        call    to_screen
        popw    %si
        call    to_screen
halt:   hlt
        jmp     halt

to_screen:
        lodsb
        testb   %al, %al
        jz      7f
        movb    $0x0E, %ah
        movw    $7, %bx
        int     $0x10
        jmp     to_screen

# Waits for the transmitter a bounded time: without a port it just goes on.
to_serial:
        lodsb
        testb   %al, %al
        jz      7f
        movb    %al, %ah
        movw    $0x3FD, %dx
        xorw    %cx, %cx
6:      inb     %dx, %al
        testb   $0x20, %al
        loopz   6b
        movb    %ah, %al
        movb    $0x3F8 & 0xFF, %dl
        outb    %al, %dx
        jmp     to_serial
7:      ret

prefix:         .asciz  "\r\nkeelson: "
no_extensions:  .asciz  "the BIOS has no INT 13h extensions\r\n"
cannot_read:    .ascii  "stage 2 cannot be read: BIOS status "
status:         .asciz  "00h\r\n"
stage2_changed: .asciz  "stage 2 has changed\r\n"
drive:          .byte   0

# What the builder fills in (builder/src/format/bios_boot.rs has the same offsets).
        .org    410
stage2_sectors: .word   0               # sectors of stage 2, which the checksum is of
                .ascii  "KEEL"          # how a reader knows this boot code
# The disk address packet of INT 13h AH=42h.
packet:         .byte   16, 0
packet_sectors: .word   0               # of stage 2 and the table
                .word   STAGE2, 0       # offset and segment
packet_lba:     .quad   0
checksum:       .long   0, 0
        .org    440
