#!/usr/bin/env node
"use strict";
// The one file that an old Node may meet: plain syntax, no dependency. It hands over to the pinned runtime when this Node is too old.
var path = require("path");
var fs = require("fs");
var major = Number(process.versions.node.split(".")[0]);

function pinnedNode() {
  var candidates = ["node-linux-" + process.arch, "node-darwin-" + process.arch];
  for (var i = 0; i < candidates.length; i++) {
    try {
      return path.join(path.dirname(require.resolve(candidates[i] + "/package.json")), "bin", "node");
    } catch (error) {
      if (error.code !== "MODULE_NOT_FOUND") throw error;
    }
  }
  return undefined;
}

function main() {
  if (major < 24) {
    var node = pinnedNode();
    if (node === undefined || !fs.existsSync(node)) {
      process.stderr.write(
        "error: sky needs Node 24 or newer; this is Node " +
          process.versions.node +
          " (" +
          process.execPath +
          ").\n" +
          "hint: install Node 24 (https://nodejs.org), or reinstall sky with optional dependencies so that it brings its own: npm install --include=optional\n",
      );
      process.exit(1);
    }
    var result = require("child_process").spawnSync(node, [__filename].concat(process.argv.slice(2)), {
      stdio: "inherit",
    });
    if (result.error) throw result.error;
    if (result.signal) process.kill(process.pid, result.signal);
    process.exit(result.status === null ? 1 : result.status);
  }
  var entry = path.join(__dirname, "..", "dist", "cli", "main.cjs");
  if (!fs.existsSync(entry)) {
    // A fresh clone: bundle once (about a second); a published package always carries dist/.
    var build = path.join(__dirname, "..", "scripts", "build.ts");
    process.stderr.write("Bundling sky for the first run from this clone ...\n");
    var built = require("child_process").spawnSync(process.execPath, [build], {
      stdio: ["ignore", 2, 2],
      cwd: path.join(__dirname, ".."),
    });
    if (built.status !== 0) {
      process.stderr.write(
        "error: the bundle could not be built.\nhint: run `npm ci`, then `npm run build`, and look at its output.\n",
      );
      process.exit(1);
    }
  }
  var nodeModule = require("module");
  if (nodeModule.enableCompileCache) nodeModule.enableCompileCache();
  require(entry);
}

main();
