#!/usr/bin/env node
/**
 * The `dblive` command. What it is built of is loaded here, so that a program that only uses the library needs none of
 * it.
 */
const packages = {
  "@effect/cli": "0.77",
  "@effect/platform-node": "0.108",
  "@effect/printer": "0.51",
  "@effect/printer-ansi": "0.51"
}

try {
  const { main } = await import("./app.js")
  main(process.argv)
} catch (error) {
  const isMissing = error instanceof Error && "code" in error && error.code === "ERR_MODULE_NOT_FOUND"
  const name = Object.keys(packages).find((name) => isMissing && error.message.includes(`'${name}`))
  if (name === undefined) {
    throw error
  }
  // With versions: the latest may be of Effect 4.
  const told = Object.entries(packages).map(([name, version]) => `${name}@${version}`).join(" ")
  process.stderr.write(`the dblive command needs ${name}: npm install ${told}\n`)
  process.exitCode = 1
}

export {}
