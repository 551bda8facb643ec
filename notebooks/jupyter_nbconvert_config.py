# What the notebooks' runner and its kernel say to each other is encrypted: machines are shared.
c.KernelManager.transport_encryption = "auto"
