/** How processes end. */

/** The code of a program that `runMain` runs and a signal ends. */
export const ofSignal = 130
