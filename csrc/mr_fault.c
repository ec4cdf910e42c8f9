#define _POSIX_C_SOURCE 200809L
#include "mr_fault.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>

typedef struct {
    uintptr_t base;
    size_t size;
    sigjmp_buf jump;
} guard;

/* The only mutable globals of csrc: a signal handler has no other way to its context. */
static _Thread_local guard *volatile active;
static struct sigaction before;
static _Thread_local volatile sig_atomic_t passing; /* the handler before is running */

static void on_sigbus(int number, siginfo_t *info, void *context)
{
    guard *here = active;
    int sent = info->si_code <= 0; /* by kill() or raise(), with no address */
    if (here && !sent && (uintptr_t)info->si_addr - here->base < here->size)
        siglongjmp(here->jump, 1);
    int handled = (before.sa_flags & SA_SIGINFO) || (before.sa_handler != SIG_DFL && before.sa_handler != SIG_IGN);
    if (!handled && sent && before.sa_handler == SIG_IGN)
        return;
    /* A handler that raises the signal anew for the one before it may have been installed
     * after us and have us for that one: then neither would ever end. */
    if (!handled || passing) {
        signal(number, SIG_DFL);
        if (sent)
            raise(number);
        return; /* the access is tried again and ends the process */
    }
    passing = 1;
    if (before.sa_flags & SA_SIGINFO)
        before.sa_sigaction(number, info, context);
    else
        before.sa_handler(number);
    passing = 0;
}

int mr_fault_install(void)
{
    struct sigaction current, action = {0};
    if (sigaction(SIGBUS, 0, &current))
        return errno;
    if ((current.sa_flags & SA_SIGINFO) && current.sa_sigaction == on_sigbus)
        return 0;
    before = current;
    action.sa_sigaction = on_sigbus;
    action.sa_flags = SA_SIGINFO | SA_NODEFER; /* not blocked after the jump */
    sigemptyset(&action.sa_mask);
    return sigaction(SIGBUS, &action, 0) ? errno : 0;
}

mr_status mr_fault_call(mr_status (*kernel)(void *), void *context, const void *base, size_t size)
{
    guard here, *outer = active;
    here.base = (uintptr_t)base;
    here.size = size;
    if (sigsetjmp(here.jump, 0)) {
        active = outer;
        return MR_FAULT;
    }
    active = &here;
    mr_status status = kernel(context);
    active = outer;
    return status;
}
