/** Names each mutant that survives as soon as it has: a run takes long, and a test can be written meanwhile. */
import { declareValuePlugin, PluginKind } from "@stryker-mutator/api/plugin"

const silent = ["Killed", "Ignored", "CompileError"]

export const strykerPlugins = [
  declareValuePlugin(PluginKind.Reporter, "survivors", {
    onMutantTested: ({ fileName, location: { start }, mutatorName, replacement, status }) => {
      if (!silent.includes(status)) {
        const file = fileName.slice(fileName.indexOf("src/"))
        console.log(
          `${status}: ${file}:${start.line}:${start.column} ${mutatorName}: ${replacement.replaceAll(/\s+/g, " ")}`
        )
      }
    }
  })
]
