import { expect, test } from "vitest";
import type { JobSpec } from "./job-store.ts";
import { runEnv, setupEnv, type JobEnvOptions } from "./job-env.ts";
import {
  failedText,
  lostText,
  rankPrefix,
  setupFailedText,
  setupPrefix,
  STARTED_TEXT,
  waitingText,
} from "./job-text.ts";

const spec: JobSpec = {
  key: "k",
  name: "hello",
  userHash: "abcd1234",
  userName: "root",
  runTimestamp: "sky-2026-11-22-00-40-37-149253",
  numNodes: 2,
  demand: { accelerators: { A100: 1.5 } },
  resourcesText: "2x[A100:1.5]",
  metadata: {},
  gracePeriodSeconds: 10,
};
const clusterInfo = '{"cluster_name": "t1", "cloud": "Slurm", "region": "lab", "zone": "dev"}';
const options: JobEnvOptions = { jobId: 7, spec, values: { A: "1" }, config: { clusterName: "t1", clusterInfo } };
const common = {
  A: "1",
  SKYPILOT_TASK_ID: "sky-2026-11-22-00-40-37-149253_t1_7",
  SKYPILOT_CLUSTER_INFO: clusterInfo,
  SKYPILOT_USER: "root",
  SKYPILOT_NUM_NODES: "2",
};

test("setup's environment", () => {
  expect(setupEnv(options, { index: 1, nodeIps: ["10.0.0.1", "10.0.0.2", "10.0.0.3"] })).toEqual({
    ...common,
    SKYPILOT_SETUP_NODE_RANK: "1",
    SKYPILOT_SETUP_NODE_IPS: "10.0.0.1\n10.0.0.2\n10.0.0.3",
    SKYPILOT_SETUP_NUM_GPUS_PER_NODE: "2",
  });
});

test("a rank's environment; devices are named as the machine names them", () => {
  const grant = { node: 1, cpus: 0.5, memoryGib: 0, devices: { A100: [0, 2].map((index) => ({ index, share: 1 })) } };
  const place = { rank: 1, nodeIps: ["10.0.0.1", "10.0.0.2"], grant };
  expect(runEnv(options, place)).toEqual({
    ...common,
    SKYPILOT_NODE_RANK: "1",
    SKYPILOT_NODE_IPS: "10.0.0.1\n10.0.0.2",
    SKYPILOT_NUM_GPUS_PER_NODE: "2",
    SKYPILOT_INTERNAL_JOB_ID: "7",
    CUDA_VISIBLE_DEVICES: "0,2",
  });
  expect(runEnv(options, { ...place, deviceIndices: [4, 5, 6] })["CUDA_VISIBLE_DEVICES"]).toBe("4,6");
  expect(runEnv(options, { ...place, grant: { ...grant, devices: {} } })["CUDA_VISIBLE_DEVICES"]).toBe("");
});

test("a task id that the caller fixed wins; our variables win over the task's", () => {
  const fixed = { ...options, spec: { ...spec, taskId: "sky-managed-1" }, values: { SKYPILOT_USER: "eve" } };
  expect(setupEnv(fixed, { index: 0, nodeIps: [] })).toMatchObject({
    SKYPILOT_TASK_ID: "sky-managed-1",
    SKYPILOT_USER: "root",
  });
});

// As recorded from SkyPilot 0.14.1.
test("the texts of run.log", () => {
  expect(waitingText(1)).toBe("\u001b[2m├── \u001b[0m\u001b[2mWaiting for task resources on 1 node.\u001b[0m\n");
  expect(waitingText(2)).toContain("on 2 nodes.");
  expect(STARTED_TEXT).toBe(
    "\u001b[2m└── \u001b[0mJob started. Streaming logs... \u001b[2m(Ctrl-C to exit log streaming; job will not be killed)\u001b[0m\n",
  );
  const plain = (text: string): string => text.replaceAll(/\u001b\[\d+m/g, "");
  expect(plain(failedText(1, [0, 3]))).toBe("ERROR: Job 1 failed with return code list: [0, 3] \n");
  expect(plain(failedText(1, [139]))).toBe(
    "ERROR: Job 1 failed with return code list: [139] (likely due to Segmentation Fault)\n",
  );
  expect(plain(failedText(2, [137, 3]))).toBe(
    "ERROR: Job 2 failed with return code list: [137, 3] (A Worker failed with return code 3, SkyPilot cleaned up the processes on other nodes with return code 137)\n",
  );
  expect(plain(failedText(2, [137, 137]))).toBe("ERROR: Job 2 failed with return code list: [137, 137] \n");
  expect(plain(setupFailedText(1, [{ pid: 2304, code: 7 }]))).toBe(
    "ERROR: Job 1's setup failed. Failed workers: (pid=2304, returncode=7). See error logs above for more details.\n",
  );
  expect(plain(lostText(3, "why."))).toBe("ERROR: Job 3 failed: why.\n");
});

test("prefixes", () => {
  const head = { taskName: "hello", numNodes: 2, node: { index: 0, ip: "10.0.0.1" }, pid: 7 };
  const worker = { ...head, node: { index: 2, ip: "10.0.0.3" } };
  const plain = (text: string): string => text.replaceAll(/\u001b\[\d+m/g, "");
  expect(rankPrefix(0, { ...head, numNodes: 1 })).toBe("\u001b[36m(hello, pid=7)\u001b[0m ");
  expect(plain(rankPrefix(0, { ...head, numNodes: 1, taskName: null }))).toBe("(task, pid=7) ");
  expect(plain(rankPrefix(0, head))).toBe("(head, rank=0, pid=7) ");
  expect(plain(rankPrefix(1, worker))).toBe("(worker2, rank=1, pid=7, ip=10.0.0.3) ");
  expect(plain(setupPrefix(head))).toBe("(setup pid=7) ");
  expect(plain(setupPrefix(worker))).toBe("(setup pid=7, ip=10.0.0.3) ");
});
