# The kernel and its initramfs (Documentation/arch/x86/boot.rst of Linux): loads, checks
# and places them, fills in the setup header and enters the kernel in real mode, so
# that it asks the BIOS for memory, disks and video itself.
#
# The file is loaded as a whole at 1 MiB and verified. Then its first part, the
# real-mode code, is copied below, and the rest moves down to 1 MiB, where the kernel wants it.
#
# Absent: kernels older than Linux 2.6.31 (protocol 2.10), which do not say how much
# memory they need; an initramfs above 4 GiB; the options `vga=` and `mem=` of the
# command line, which protocol leaves to boot loaders.

        .include "layout.inc"
        .code16
        .text

# Fields of the setup header, from the beginning of the file.
        .set    SETUP_SECTORS, 0x1F1
        .set    VID_MODE, 0x1FA
        .set    BOOT_FLAG, 0x1FE
        .set    HEADER_MAGIC, 0x202
        .set    PROTOCOL_VERSION, 0x206
        .set    TYPE_OF_LOADER, 0x210
        .set    LOADFLAGS, 0x211
        .set    RAMDISK_IMAGE, 0x218
        .set    RAMDISK_SIZE, 0x21C
        .set    HEAP_END_PTR, 0x224
        .set    CMD_LINE_PTR, 0x228
        .set    INITRD_ADDR_MAX, 0x22C
        .set    KERNEL_ALIGNMENT, 0x230
        .set    RELOCATABLE_KERNEL, 0x234
        .set    CMDLINE_SIZE, 0x238
        .set    PREF_ADDRESS, 0x258
        .set    INIT_SIZE, 0x260
# Their values.
        .set    VID_MODE_NORMAL, 0xFFFF
        .set    OLDEST_VERSION, 0x020A
        .set    LOADED_HIGH, 0x01
        .set    CAN_USE_HEAP, 0x80
        .set    UNDEFINED_LOADER, 0xFF
# Where the real-mode code's stack and heap end and the command line begins, from SETUP.
        .set    HEAP_END, 0xE000
# The real-mode code has 32 KiB at most, its first sector included.
        .set    SETUP_SECTORS_MAX, 63
# Enough of the file to hold the header.
        .set    HEADER_BYTES, 1024

# Loads the kernel's file at 1 MiB and verifies it.
        .globl  kernel_load
kernel_load:
        movl    table + TABLE_KERNEL + EXTENT_BYTES, %edx
        movw    $not_a_kernel, %si
        cmpl    $HEADER_BYTES, %edx
        jb      fail
        addl    $HIGH + 3, %edx         # the last word is filled
        jc      1f
        movl    $HIGH, %eax
        pushl   %edx
        call    memory_is_usable
        popl    %eax
        movl    $0, %edx
        jc      memory_lacking
        movw    $table + TABLE_KERNEL, %si
        movl    $HIGH, %edi
        call    load_extent
        movw    $kernel_changed, %si
        jne     fail
        ret
1:      movl    $0xFFFFFFFF, %eax
        xorl    %edx, %edx
        jmp     memory_lacking

# Ends the boot unless the file at 1 MiB is a kernel that can be started so, with the command
# line there is. Finds out which memory it runs in.
        .globl  kernel_check
kernel_check:
        movl    $HIGH, %esi
        movl    $SETUP, %edi
        movl    $HEADER_BYTES / 4, %ecx
        call    copy
        movw    $SETUP_SEGMENT, %ax
        movw    %ax, %fs
        movw    $not_a_kernel, %si
        cmpw    $0xAA55, %fs:BOOT_FLAG
        jne     fail
        cmpl    $0x53726448, %fs:HEADER_MAGIC   # "HdrS"
        jne     fail
        cmpw    $OLDEST_VERSION, %fs:PROTOCOL_VERSION
        jb      fail
        testb   $LOADED_HIGH, %fs:LOADFLAGS
        jz      fail
        movzbl  %fs:SETUP_SECTORS, %eax
        testb   %al, %al
        jnz     1f
        movb    $4, %al                 # what zero means
1:      cmpb    $SETUP_SECTORS_MAX, %al
        ja      fail
        incl    %eax                    # and the boot sector
        shll    $SECTOR_SHIFT, %eax
        movl    %eax, setup_bytes
        cmpl    table + TABLE_KERNEL + EXTENT_BYTES, %eax
        jae     fail
        movl    table + TABLE_COMMAND_LINE_BYTES, %eax
        movl    %fs:CMDLINE_SIZE, %edx
        movl    %eax, number
        movl    %edx, second
        cmpl    %edx, %eax
        movw    $command_line_long, %si
        ja      fail
# Falls through: where it runs.

# The kernel runs where it was loaded, aligned, or at the address it prefers, whichever is
# higher: a relocatable one may choose the first, any other goes to the second; 64-bit
# kernels do not run below it. From there on it needs init_size bytes.
        movw    $not_a_kernel, %si
        cmpl    $0, %fs:PREF_ADDRESS + 4
        jne     fail
        movl    $HIGH, %eax
        movl    %fs:KERNEL_ALIGNMENT, %ecx
        testl   %ecx, %ecx
        jz      2f
        decl    %ecx                    # a power of two
        addl    %ecx, %eax
        jc      fail
        notl    %ecx
        andl    %ecx, %eax
2:      cmpl    %fs:PREF_ADDRESS, %eax
        jae     3f
        movl    %fs:PREF_ADDRESS, %eax
3:      xorl    %edx, %edx
        movl    %eax, %ebx
        addl    %fs:INIT_SIZE, %ebx
        jc      fail
        movl    %ebx, run_end
        movl    %ebx, %edx
        call    memory_is_usable
        jnc     4f
        movl    run_end, %eax
        xorl    %edx, %edx
        addl    table + TABLE_INITRAMFS + EXTENT_BYTES, %eax
        adcl    $0, %edx
        jmp     memory_lacking
4:      ret

# Loads the initramfs, if there is one, as high as it may lie, above the memory that the
# kernel needs before it knows of it, and verifies it.
        .globl  initramfs_load
initramfs_load:
        movl    table + TABLE_INITRAMFS + EXTENT_BYTES, %ecx
        jecxz   3f
        movw    $SETUP_SEGMENT, %ax
        movw    %ax, %fs
        addl    $3, %ecx                # the last word is filled
        jc      2f
        movl    table + TABLE_KERNEL + EXTENT_BYTES, %eax
        addl    $HIGH + 3, %eax         # where its file ends, which is not moved yet
        cmpl    run_end, %eax
        jae     1f
        movl    run_end, %eax
1:      movl    %eax, number            # for the message, should it come to that
        movl    %fs:INITRD_ADDR_MAX, %edx
        incl    %edx
        jnz     4f
        decl    %edx
4:      call    memory_highest
        jc      2f
        movl    %eax, initramfs
        movl    %eax, %edi
        movw    $table + TABLE_INITRAMFS, %si
        call    load_extent
        movw    $initramfs_changed, %si
        jne     fail
3:      ret
2:      movl    number, %eax
        xorl    %edx, %edx
        addl    table + TABLE_INITRAMFS + EXTENT_BYTES, %eax
        adcl    $0, %edx
        jmp     memory_lacking

# Moves the kernel's two parts to their places, fills in the header, and puts the command line
# behind the real-mode code's heap.
        .globl  kernel_arrange
kernel_arrange:
        movl    $HIGH, %esi
        movl    $SETUP, %edi
        movl    setup_bytes, %ecx
        shrl    $2, %ecx
        call    copy
# ESI is behind it, and the rest goes down to where it was.
        movl    $HIGH, %edi
        movl    table + TABLE_KERNEL + EXTENT_BYTES, %ecx
        subl    setup_bytes, %ecx
        addl    $3, %ecx
        shrl    $2, %ecx
        call    copy

        movw    $SETUP_SEGMENT, %ax
        movw    %ax, %es
        movw    $VID_MODE_NORMAL, %es:VID_MODE
        movb    $UNDEFINED_LOADER, %es:TYPE_OF_LOADER
        orb     $CAN_USE_HEAP, %es:LOADFLAGS
        movw    $HEAP_END - 0x200, %es:HEAP_END_PTR
        movl    $SETUP + HEAP_END, %es:CMD_LINE_PTR
        movl    initramfs, %eax
        movl    %eax, %es:RAMDISK_IMAGE
        movl    table + TABLE_INITRAMFS + EXTENT_BYTES, %eax
        movl    %eax, %es:RAMDISK_SIZE

        movw    $table + TABLE_COMMAND_LINE, %si
        movw    $HEAP_END, %di
        movw    table + TABLE_COMMAND_LINE_BYTES, %cx
        incw    %cx                     # its NUL too
        rep     movsb
        ret

# Enters the kernel's real-mode code: all segments at its beginning, the stack where
# its heap ends, no interrupts. Does not return.
        .globl  kernel_enter
kernel_enter:
        cli
        movw    $SETUP_SEGMENT, %ax
        movw    %ax, %ds
        movw    %ax, %es
        movw    %ax, %fs
        movw    %ax, %gs
        movw    %ax, %ss
        movw    $HEAP_END, %sp
        ljmp    $SETUP_SEGMENT + 0x20, $0

        .data
kernel_changed:    .asciz "the kernel has changed"
initramfs_changed: .asciz "the initramfs has changed"
not_a_kernel:      .asciz "the kernel is none that this loader can start"
command_line_long: .asciz "the command line has \001 bytes, the kernel takes \002"

        .balign 4
setup_bytes:       .long  0             # the real-mode code's length
run_end:           .long  0             # where the memory ends that the kernel needs to begin with
initramfs:         .long  0             # where it lies; 0 for none
