// Prepares node before matrix-js-sdk is loaded: what version 43 takes from Node 22 and Node 20 lacks, and silence,
// for its loggers take the console's methods as they find them (SDK_LOG=1 lets them speak).

Promise.withResolvers ??= function () {
    let resolve, reject;
    const promise = new Promise((yes, no) => ([resolve, reject] = [yes, no]));
    return { promise, resolve, reject };
};

if (!process.env.SDK_LOG) {
    for (const level of ["trace", "debug", "log", "info", "warn", "error"]) console[level] = () => {};
}
