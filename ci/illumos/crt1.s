# What starts an illumos program: the kernel or the loader comes to _start with argc, argv and the environment on the
# stack. libc expects the program to own the environment's address under both names (System V ABI, amd64 supplement,
# "Process Initialization"; environ(7)), and the program's initialisers to have run before main.
        .section .note.GNU-stack,"",@progbits
        .text
        .globl  _start
        .type   _start,@function
_start:
        xor     %ebp,%ebp               # the outermost frame, by the ABI
        mov     (%rsp),%r12             # argc
        lea     8(%rsp),%r13            # argv
        lea     16(%rsp,%r12,8),%r14    # envp
        mov     %r14,environ(%rip)
        and     $-16,%rsp
        lea     __init_array_start(%rip),%rbx
        lea     __init_array_end(%rip),%r15
1:      cmp     %r15,%rbx
        jae     2f
        mov     %r12d,%edi
        mov     %r13,%rsi
        mov     %r14,%rdx
        call    *(%rbx)
        add     $8,%rbx
        jmp     1b
2:      mov     %r12d,%edi
        mov     %r13,%rsi
        mov     %r14,%rdx
        call    main@PLT
        mov     %eax,%edi
        call    exit@PLT
        hlt
        .size   _start,.-_start

        .hidden __init_array_start
        .hidden __init_array_end

        .bss
        .balign 8
        .globl  environ
        .globl  _environ
        .type   environ,@object
        .type   _environ,@object
environ:
_environ:
        .zero   8
        .size   environ,8
        .size   _environ,8
