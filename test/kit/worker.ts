/** Runs in every test process: one whose parent is gone must not live on, nor keep its servers running. */
process.once("disconnect", () => {
  // Not process.exit, which the test runner replaces.
  process.kill(process.pid, "SIGKILL")
})
