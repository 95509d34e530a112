"""Puts N running clusters into the state of the official SkyPilot 0.14.1, for the listing benchmark. Usage: seed.py N"""

import os
import sys

# One line of the price list, where the original keeps its copy: without it, every listing would look for the list on the internet.
CATALOG = os.path.expanduser("~/.sky/catalogs/v8/aws/vms.csv")
os.makedirs(os.path.dirname(CATALOG), exist_ok=True)
with open(CATALOG, "w", encoding="utf-8") as file:
    file.write(
        "InstanceType,AcceleratorName,AcceleratorCount,vCPUs,MemoryGiB,GpuInfo,Price,SpotPrice,Region,AvailabilityZone,Arch,"
        "LocalDiskType,NVMeSupported,LocalDiskSize,LocalDiskCount,MaximumEfaInterfaces\n"
        "m6i.large,,,2.0,8.0,,0.096,0.031400,us-east-1,us-east-1a,x86_64,,False,,,\n"
    )

import sky
from sky import backends, global_user_state

resources = sky.Resources(infra="aws/us-east-1", instance_type="m6i.large")
for index in range(int(sys.argv[1])):
    name = f"bench-{index:04d}"
    handle = backends.CloudVmRayResourceHandle(
        cluster_name=name,
        cluster_name_on_cloud=f"{name}-b0b0b0b0",
        cluster_yaml=None,
        launched_nodes=1,
        launched_resources=resources,
        stable_internal_external_ips=[("10.0.0.5", "203.0.113.5")],
        stable_ssh_ports=[22],
    )
    global_user_state.add_or_update_cluster(name, handle, requested_resources={resources}, ready=True)
print(len(global_user_state.get_clusters()))
